"""A router that answers by itself: twice the input, at once or when told. For tests of the gate."""

import asyncio
from dataclasses import dataclass, field

import numpy as np

from middle_tier.routing.outcome import Outcome
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy, Rejected
from protocol.adverts import Capacity, NodeStatus, SiteCapacity, VariantInfo
from protocol.bundles import Task
from protocol.messages import Answer
from protocol.types import Axes, Latency, Profile, Tensor

TASK = Task(
    name="double",
    inputs=(Axes(name="x", datatype="FP32", shape=(-1, 4)),),
    outputs=(Axes(name="y", datatype="FP32", shape=(-1, 4)),),
)
PAIR = Task(
    name="pair",
    inputs=(
        Axes(name="a", datatype="INT64", shape=(-1, 2)),
        Axes(name="b", datatype="BOOL", shape=(-1, -1)),
    ),
    outputs=(
        Axes(name="a", datatype="INT64", shape=(-1, 2)),
        Axes(name="b", datatype="BOOL", shape=(-1, -1)),
    ),
)
OTHER = Task(name="secret", inputs=TASK.inputs, outputs=TASK.outputs)


def an_info(task: str, variant: str = "small-fp32", accuracy: float = 0.9) -> VariantInfo:
    runs = {1: Latency(ms=(1.0, 1.0, 1.0, 1.0, 1.0))}
    return VariantInfo(
        variant=variant, task=task, architecture=variant.split("-", maxsplit=1)[0], format="onnx",
        precision="fp32", accuracy=accuracy, max_batch=32, size_bytes=1000,
        profile=Profile(load_ms=1.0, memory_bytes=1000, runs=runs),
    )  # fmt: skip


class EchoView:
    """Three tasks, two variants of the first, one node."""

    def __init__(self):
        self.tasks = {task.name: task for task in (TASK, PAIR, OTHER)}

    def variants(self, task):
        first = (an_info(task),)
        return (*first, an_info(task, "large-int8", 0.99)) if task == "double" else first

    def nodes(self, _):
        advert = Capacity(node="n1", site="s1", tier="edge", hardware="x86", boot="b", sequence=1)
        return (NodeStatus(advert=advert, health="alive", silent_s=0.1, variants=("small-fp32",)),)

    def sites(self, _):
        return ()


class EchoPursuit:
    def __init__(self, answer):
        self.answer = answer
        self.told = None

    def begin(self, told):
        self.told = told
        self.task = asyncio.ensure_future(self.answer)
        self.task.add_done_callback(self.done)

    def done(self, task):
        if not task.cancelled() and self.told is not None:
            error = task.exception()
            self.told(Outcome(error=error) if error else Outcome(*task.result()))

    def stop(self):
        self.told = None
        self.task.cancel()


@dataclass
class EchoRouter:
    """Answers with twice the input; holds queries back while `gate` is an unset event."""

    site = "s1"

    view: EchoView = field(default_factory=EchoView)
    policy: Policy = field(default_factory=Policy)
    queries: list = field(default_factory=list)
    cancelled: int = 0
    fails: Exception | None = None
    gate: asyncio.Event | None = None
    counts: dict = field(default_factory=dict)

    def pursue(self, query, buffers):
        return EchoPursuit(self._answer(query, buffers))

    async def _answer(self, query, buffers):
        self.queries.append(query)
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.fails is not None:
            raise self.fails
        return an_answer(query, buffers)

    def demand(self, query):
        return Demand(query.want, query.want.latency_ms, rows=query.inputs[0].shape[0])

    def capacity(self):
        link = Latency(ms=(0.0, 0.0, 0.0, 0.0, 0.0))
        return SiteCapacity(site=self.site, boot="", sequence=0, link=link)

    def plan(self, _):
        return a_plan()


def an_answer(query, buffers):
    doubled = buffers
    if query.want.task == "double":
        doubled = ((np.frombuffer(buffers[0], np.float32) * 2).tobytes(),)
    names = ("y",) if query.want.task == "double" else ("a", "b")
    outputs = tuple(
        Tensor(name=name, datatype=t.datatype, shape=t.shape)
        for name, t in zip(names, query.inputs, strict=True)
    )
    variant = query.want.variant or "small-fp32"
    answer = Answer(
        id=query.id, variant=variant, architecture="small", node="n1", site="s1", tier="edge",
        outputs=outputs, run_ms=0.1, held_ms=0.2, predicted_ms=1.5, cost_usd=1e-7,
    )  # fmt: skip
    return answer, doubled


def a_plan(*, warm=True):
    candidate = Candidate(
        "small-fp32", "small", 0.9, "onnx", "x86", "s1", "n1", "edge", warm, "node",
        0.1, 0.0, 0.0, 0.0, 1.0, 1.1, 1e-7, 1.0, 1e-7,
    )  # fmt: skip
    out = Rejected("large-int8", "x86", "s1", "edge", warm, "too slow", 9.0, 1e-6, 0.99, 1)
    return Plan((candidate,), {"too slow": 1}, (out,))
