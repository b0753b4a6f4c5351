"""What is in a `.tflite` file: its signatures, their tensors, how those are quantised.

Seen through `ai_edge_litert` or, where that has no wheel, `tflite_runtime`. It runs in litert.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from edge_agent.runtimes.base import Array
from edge_agent.runtimes.filesignature import FileSignature, FileTensor, batches, tensor
from edge_agent.runtimes.tflitebounds import holds_together

_PACKAGE = "ai_edge_litert" if find_spec("ai_edge_litert") else "tflite_runtime"
_interpreters = import_module(f"{_PACKAGE}.interpreter")


@dataclass(frozen=True, slots=True)
class Quantum:
    """How a quantised tensor of a file stands for real numbers: real = scale x (stored - zero)."""

    scale: float
    zero: int

    dtype: np.dtype[Any]

    def encode(self, array: Array) -> Array:
        """Store real numbers, clipped to what the datatype holds."""
        limits = np.iinfo(self.dtype)
        with np.errstate(invalid="ignore"):
            near = np.nan_to_num(np.rint(array / self.scale) + self.zero)
        stored: Array = np.clip(near, limits.min, limits.max).astype(self.dtype)
        return stored

    def decode(self, array: Array) -> Array:
        real: Array = (array.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)
        return real


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature of a file says: each tensor's details (interpreter's own) by name."""

    subgraph: int
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]

    @property
    def rows(self) -> int:
        """Its fixed batch; 0 when it has none."""
        for detail in self.inputs.values():
            return int(detail["shape"][0]) if len(detail["shape"]) else 0
        return 0


def open_model(data: bytes, threads: int) -> Any:  # noqa: ANN401  foreign, untyped
    """Return an interpreter over the bytes; raise `ValueError` when they are no model."""
    if not holds_together(data):
        raise ValueError("an offset leads outside the file, or it is no .tflite at all")
    return _interpreters.Interpreter(model_content=data, num_threads=threads)


def signatures(interpreter: Any) -> list[Signature]:  # noqa: ANN401  foreign, untyped
    """What can be called in a file; one without signatures has its main graph, by tensor names."""
    named = interpreter.get_signature_list()
    if not named:
        return [
            Signature(
                0,
                {detail["name"]: detail for detail in interpreter.get_input_details()},
                {detail["name"]: detail for detail in interpreter.get_output_details()},
            )
        ]
    found = []
    for key in named:
        runner = interpreter.get_signature_runner(key)
        # The subgraph has no public name; without it every call would resize and allocate anew.
        subgraph = runner._subgraph_index  # noqa: SLF001
        found.append(Signature(subgraph, runner.get_input_details(), runner.get_output_details()))
    return found


def quantum(detail: Mapping[str, Any]) -> Quantum | None:
    """How a tensor is quantised; None when it is stored as it is."""
    scale, zero = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    return Quantum(float(scale), int(zero), dtype) if scale and dtype.kind in "iu" else None


def signature(data: bytes) -> FileSignature:
    """What a `.tflite` file says of itself: its first signature, and the others like it.

    A free batch counts as the one that the file begins with: most such files fail at any other.
    """
    called = [_said(one) for one in signatures(open_model(data, 1))]
    first = called[0]
    alike = [one for one in called if _rows_of(one) == _rows_of(first)]
    sizes = {batches((*one.inputs, *one.outputs))[0] for one in alike}
    return FileSignature(first.inputs, first.outputs, batches=tuple(sorted(sizes)))


def _said(called: Signature) -> FileSignature:
    return FileSignature(
        tuple(_tensor(name, detail) for name, detail in called.inputs.items()),
        tuple(_tensor(name, detail) for name, detail in called.outputs.items()),
    )


def _tensor(name: str, detail: Mapping[str, Any]) -> FileTensor:
    real = "float32" if quantum(detail) else None
    shape = tuple(int(dim) for dim in detail["shape"])
    return tensor(name, np.dtype(detail["dtype"]).name, shape, real=real)


def _rows_of(called: FileSignature) -> list[tuple[str, tuple[int, ...]]]:
    """What tells a signature of another function from one of another batch."""
    return [(one.name, one.row) for one in (*called.inputs, *called.outputs)]
