"""Makes a task and a variant of a bare model file, by what its own signature says.

For trying a file at once: nothing is known of its accuracy, nobody vouches for it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import PurePath

from pydantic import ValidationError

from edge_agent.runtimes import registry
from edge_agent.runtimes.filesignature import FileSignature, FileTensor
from protocol.bundles import Binding, Format, Task, Variant, digest_key, estimate
from protocol.errors import BadRequestError, MeshError
from protocol.types import Axes, Profile

SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".tflite": "tflite", ".pt2": "pt2"}

_READERS: dict[Format, str] = {
    "onnx": "edge_agent.runtimes.ort",
    "tflite": "edge_agent.runtimes.tflitefile",
    "pt2": "edge_agent.runtimes.pytorch",
}

GUESSED_RUN_MS = 10.0
"""Stands in the profile until the node has measured it."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A task that one file serves, and that file as its variant."""

    task: Task
    variant: Variant


def read(file: str, data: bytes, name: str | None = None) -> Bare:
    """Return the task (called `name`, else after the file) and the variant that the bytes are.

    Raises `BadRequestError` when it is no model that can be served, or its runtime is missing.
    """
    form = _form(file)
    pin = registry.available().get(form)
    if pin is None:
        raise BadRequestError(f"{file}: no runtime for {form} files", registry.INSTALL[form])
    try:
        signature: FileSignature = import_module(_READERS[form]).signature(data)
    except MeshError:
        raise
    except Exception as error:  # the border to foreign code, which raises what it likes
        raise BadRequestError(
            f"{file} is not a whole {form} file", "export it, copy it or download it again"
        ) from error
    stem = PurePath(file).stem
    try:
        task = Task(
            name=name or task_name(stem),
            inputs=tuple(_axes(tensor) for tensor in signature.inputs),
            outputs=tuple(_axes(tensor) for tensor in signature.outputs),
            description=f"the model file {PurePath(file).name}",
        )
        variant = Variant(
            id=f"{_plain(stem)}-{form}",
            architecture=_plain(stem),
            format=form,
            precision="unknown",
            file=f"{_plain(stem)}.{form}",
            digest=digest_key(sha256(data).hexdigest()),
            size_bytes=len(data),
            accuracy=0.0,
            batches=signature.batches,
            max_batch=max(signature.batches, default=signature.max_batch),
            inputs=_bindings(signature.inputs),
            outputs=_bindings(signature.outputs),
            runtimes=(pin,),
            profile=_guess(signature.batches, len(data)),
        )
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise BadRequestError(f"{file} cannot be served: {place}: {fault['msg']}") from error
    return Bare(task, variant)


def task_name(stem: str) -> str:
    """``My_Model v2`` -> ``my-model-v2``."""
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:63] or "model"


def _plain(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:100] or "model"


def _form(file: str) -> Format:
    suffix = PurePath(file).suffix.lower()
    try:
        return SUFFIXES[suffix]
    except KeyError:
        raise BadRequestError(
            f"{file} is no model file that is known here", f"give one of {', '.join(SUFFIXES)}"
        ) from None


def _axes(tensor: FileTensor) -> Axes:
    return Axes(name=tensor.name, datatype=tensor.offered, shape=(-1, *tensor.row))


def _bindings(tensors: Sequence[FileTensor]) -> dict[str, Binding]:
    return {t.name: Binding(name=t.name, datatype=t.datatype) for t in tensors}


def _guess(batches: tuple[int, ...], size_bytes: int) -> Profile:
    runs = {rows: estimate(rows * GUESSED_RUN_MS) for rows in batches or (1,)}
    return Profile(load_ms=GUESSED_RUN_MS, memory_bytes=size_bytes, runs=runs)
