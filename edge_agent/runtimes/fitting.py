"""Fits an ask's rows and datatypes to what a variant's file takes, once for all runtimes.

How a file is run is not here: each runtime brings a `Kernel` that runs one permitted batch.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edge_agent.runtimes.base import DTYPES, Array, Tensors
from protocol.bundles import Task, Variant
from protocol.errors import ExecutionError, MeshError


class Kernel(Protocol):
    """What a runtime must do itself: one batch of a permitted size, in the file's datatypes."""

    def run(self, arrays: list[Array]) -> Sequence[Array]:
        """Arrays in the order of `variant.inputs`; returns them in the order of its outputs."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `start` to `stop` of an ask, run as a batch of `size` (padded when that is more)."""

    start: int
    stop: int
    size: int


def parts(rows: int, batches: Sequence[int], max_batch: int) -> tuple[Part, ...]:
    """Cut rows as `admission.run_ms` counts them: the largest batches, then one for the rest."""
    largest = batches[-1] if batches else max_batch
    cut = []
    for start in range(0, rows, largest):
        stop = min(start + largest, rows)
        held = stop - start
        size = next(size for size in batches if size >= held) if batches else held
        cut.append(Part(start, stop, size))
    return tuple(cut)


class Fitted:
    """A `Runtime` made of a kernel. With the task known, outputs come in its datatypes as well."""

    def __init__(
        self,
        variant: Variant,
        kernel: Kernel,
        *,
        task: Task | None = None,
        converts: Collection[str] = (),
    ) -> None:
        """`converts`: the task's tensors whose datatypes the kernel converts itself."""
        self._variant = variant.id
        self._kernel = kernel
        self._batches = variant.batches
        self._max_batch = variant.max_batch
        self._whole = variant.batches or range(1, variant.max_batch + 1)
        self._inputs = tuple(
            (name, None if name in converts else DTYPES[binding.datatype])
            for name, binding in variant.inputs.items()
        )
        self._several = len(self._inputs) > 1
        self._outputs = tuple(variant.outputs)
        self._casts = _casts(variant, task)

    def __repr__(self) -> str:
        return f"<{type(self._kernel).__name__} {self._variant}>"

    def infer(self, inputs: Tensors) -> Tensors:
        try:
            arrays = []
            for name, dtype in self._inputs:
                array = inputs[name]
                fits = dtype is None or array.dtype == dtype
                arrays.append(array if fits else array.astype(dtype))
            outputs = self._run(arrays)
        except MeshError:
            raise
        except KeyError as error:
            raise ExecutionError(f"no input {error}") from error
        except Exception as error:  # the border to foreign code, which raises what it likes
            raise ExecutionError(f"{self._variant} failed on this input") from error
        named = dict(zip(self._outputs, outputs, strict=True))
        for name, dtype in self._casts:
            named[name] = named[name].astype(dtype, copy=False)
        return named

    def close(self) -> None:
        self._kernel.close()

    def _run(self, arrays: list[Array]) -> Sequence[Array]:
        rows = arrays[0].shape[0]
        if self._several and any(array.shape[0] != rows for array in arrays):
            raise ExecutionError("inputs of different numbers of rows")
        return self._kernel.run(arrays) if rows in self._whole else self._cut(arrays, rows)

    def _cut(self, arrays: list[Array], rows: int) -> list[Array]:
        """Run in several parts, or padded."""
        if rows == 0:
            raise ExecutionError("an ask of no rows")
        pieces: list[list[Array]] = []
        for part in parts(rows, self._batches, self._max_batch):
            outputs = self._kernel.run([_padded(array, part) for array in arrays])
            held = part.stop - part.start
            pieces.append([output[:held] for output in outputs])
        if len(pieces) == 1:
            return pieces[0]
        return [np.concatenate(column) for column in zip(*pieces, strict=True)]


def _casts(variant: Variant, task: Task | None) -> tuple[tuple[str, np.dtype[Any]], ...]:
    """The outputs that the file has in another datatype than the task; mostly none."""
    wanted = {axes.name: DTYPES[axes.datatype] for axes in task.outputs} if task else {}
    return tuple(
        (name, wanted[name])
        for name, binding in variant.outputs.items()
        if name in wanted and wanted[name] != DTYPES[binding.datatype]
    )


def _padded(array: Array, part: Part) -> Array:
    """The part's rows, with rows of zeros after them up to its size."""
    rows = array[part.start : part.stop]
    if len(rows) == part.size:
        return rows
    whole = np.zeros((part.size, *array.shape[1:]), array.dtype)
    whole[: len(rows)] = rows
    return whole
