"""Pure. Whether the tensors of an ask are what its task takes: checked before it is queued."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from edge_agent.known import Known
from protocol.bundles import Task
from protocol.codec import Bytes
from protocol.types import ITEM_BYTES, Axes, Tensor

Shapes = tuple[tuple[int, ...], ...]


class Fitted(NamedTuple):
    """Inputs that fit, in the task's order."""

    rows: int
    tails: Shapes
    """The dimensions behind the batch, of each input: only equal ones can run together."""
    buffers: tuple[Bytes, ...]


class Signature:
    """A task's inputs, prepared for checking many asks."""

    def __init__(self, task: Task) -> None:
        self.inputs = task.inputs
        self._known: Known[tuple[Tensor, ...], tuple[list[int], int, Shapes]] = Known()
        self._places = {axes.name: place for place, axes in enumerate(task.inputs)}
        # name, datatype, dimensions behind the batch, bytes of a row (0: they are open)
        self._expected = tuple(
            (axes.name, axes.datatype, axes.shape[1:], _row_bytes(axes)) for axes in task.inputs
        )

    def fit(self, inputs: tuple[Tensor, ...], buffers: tuple[Bytes, ...]) -> Fitted | str:
        """The inputs in the task's order, or what is wrong with them.

        A router in this process asks with the same tuple again and again: what it says is looked at
        once, the bytes each time.
        """
        known = self._known.get(inputs)
        if known is not None and known[0] == [_nbytes(buffer) for buffer in buffers]:
            return Fitted(known[1], known[2], buffers)
        fitted = self._fit(inputs, buffers)
        if isinstance(fitted, Fitted) and [t.name for t in inputs] == list(self._places):
            sizes = [_nbytes(buffer) for buffer in fitted.buffers]
            self._known.put(inputs, (sizes, fitted.rows, fitted.tails))
        return fitted

    def _fit(self, inputs: Sequence[Tensor], buffers: Sequence[Bytes]) -> Fitted | str:
        if len(inputs) != len(self.inputs) or len(buffers) != len(inputs):
            return f"{len(inputs)} inputs, the task takes {self._named()}"
        rows = inputs[0].shape[0]
        tails: list[tuple[int, ...]] = []
        for tensor, buffer, (name, datatype, tail, row_bytes) in zip(
            inputs, buffers, self._expected, strict=True
        ):
            if tensor.name != name:
                return self._reordered(inputs, buffers)
            own = tensor.shape[1:]
            if tensor.datatype != datatype or (own != tail and not _fits(own, tail)):
                return f"{_shown(tensor)}, the task takes {_shown(self.inputs[len(tails)])}"
            if tensor.shape[0] != rows or not rows:
                return f"{tensor.name} has {tensor.shape[0]} rows, expected {rows or 'at least 1'}"
            if _nbytes(buffer) != (rows * row_bytes or tensor.nbytes):
                return f"{_shown(tensor)} does not have {_nbytes(buffer)} bytes"
            tails.append(own)
        return Fitted(rows, tuple(tails), tuple(buffers))

    def _reordered(self, inputs: Sequence[Tensor], buffers: Sequence[Bytes]) -> Fitted | str:
        """As `fit`, for inputs in another order."""
        if {tensor.name for tensor in inputs} != set(self._places):
            names = ", ".join(tensor.name for tensor in inputs)
            return f"inputs {names}, the task takes {self._named()}"
        order = sorted(range(len(inputs)), key=lambda at: self._places[inputs[at].name])
        return self._fit([inputs[at] for at in order], [buffers[at] for at in order])

    def _named(self) -> str:
        return ", ".join(axes.name for axes in self.inputs)


def _row_bytes(axes: Axes) -> int:
    tail = axes.shape[1:]
    return 0 if min(tail, default=1) < 0 else prod(tail) * ITEM_BYTES[axes.datatype]


def _fits(own: tuple[int, ...], tail: tuple[int, ...]) -> bool:
    """An open dimension takes any size but none."""
    return len(own) == len(tail) and all(
        have == want or (want < 0 < have) for have, want in zip(own, tail, strict=True)
    )


def _shown(tensor: Tensor | Axes) -> str:
    return f"{tensor.name} {tensor.datatype} {list(tensor.shape)}"


def _nbytes(buffer: Bytes) -> int:
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
