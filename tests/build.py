"""Makers with defaults: a test states only what it is about."""

from hashlib import sha256

from protocol.adverts import Capacity, Description, VariantInfo
from protocol.bundles import Binding, RuntimePin, Task, Variant, digest_key, estimate
from protocol.messages import Answer, Ask, Query, Want
from protocol.types import Axes, Latency, Profile, Tensor


def a_latency(ms: float = 1.0) -> Latency:
    return estimate(ms)


def a_profile(run_ms: float = 1.0, **changes: object) -> Profile:
    fields = {"load_ms": 10.0, "memory_bytes": 1 << 20, "runs": {1: estimate(run_ms)}}
    return Profile.model_validate({**fields, **changes})


def a_task(name: str = "digits", **changes: object) -> Task:
    """8 x 8 pixels in, ten scores out."""
    fields = {
        "name": name,
        "inputs": (Axes(name="image", datatype="FP32", shape=(-1, 8, 8)),),
        "outputs": (Axes(name="scores", datatype="FP32", shape=(-1, 10)),),
    }
    return Task.model_validate({**fields, **changes})


def a_variant(id: str = "mlp-table", data: bytes = b"", **changes: object) -> Variant:  # noqa: A002  # the field's name
    """A replayed variant of `a_task`, whose file is `data`."""
    fields = {
        "id": id,
        "architecture": "mlp",
        "format": "table",
        "precision": "fp32",
        "file": f"{id}.json",
        "digest": digest_key(sha256(data).hexdigest()),
        "size_bytes": len(data),
        "accuracy": 0.9,
        "inputs": {"image": Binding(name="image", datatype="FP32")},
        "outputs": {"scores": Binding(name="scores", datatype="FP32")},
        "runtimes": (RuntimePin(name="table", version="1"),),
        "profile": a_profile(),
    }
    return Variant.model_validate({**fields, **changes})


def a_variant_info(variant: str = "mlp-table", **changes: object) -> VariantInfo:
    fields = {
        "variant": variant,
        "task": "digits",
        "architecture": "mlp",
        "format": "table",
        "precision": "fp32",
        "accuracy": 0.9,
        "max_batch": 32,
        "size_bytes": 1000,
        "profile": a_profile(),
    }
    return VariantInfo.model_validate({**fields, **changes})


def a_want(task: str = "digits", **changes: object) -> Want:
    return Want.model_validate({"task": task, **changes})


def an_image(rows: int = 1) -> Tensor:
    return Tensor(name="image", datatype="FP32", shape=(rows, 8, 8))


def an_ask(id: str = "q-1", **changes: object) -> Ask:  # noqa: A002  # the field's name
    fields = {
        "id": id,
        "variant": "mlp-table",
        "inputs": (an_image(),),
        "budget_ms": 100.0,
        "deadline_ms": 1000.0,
    }
    return Ask.checked(**{**fields, **changes})


def a_query(id: str = "q-1", **changes: object) -> Query:  # noqa: A002  # the field's name
    fields = {"id": id, "want": a_want(), "deadline_ms": 1000.0, "inputs": (an_image(),)}
    return Query.checked(**{**fields, **changes})


def an_answer(id: str = "q-1", **changes: object) -> Answer:  # noqa: A002  # the field's name
    fields = {
        "id": id,
        "variant": "mlp-table",
        "architecture": "mlp",
        "node": "edge-1",
        "site": "site-1",
        "tier": "edge",
        "outputs": (Tensor(name="scores", datatype="FP32", shape=(1, 10)),),
        "run_ms": 1.0,
        "held_ms": 1.5,
    }
    return Answer.checked(**{**fields, **changes})


def a_capacity(node: str = "edge-1", **changes: object) -> Capacity:
    fields = {
        "node": node,
        "site": "site-1",
        "tier": "edge",
        "hardware": "x86-64-2c",
        "boot": "b1",
        "sequence": 1,
    }
    return Capacity.model_validate({**fields, **changes})


def a_description(node: str = "edge-1", **changes: object) -> Description:
    fields = {
        "node": node,
        "site": "site-1",
        "revision": 0,
        "tasks": (a_task(),),
        "variants": (a_variant_info(),),
    }
    return Description.model_validate({**fields, **changes})
