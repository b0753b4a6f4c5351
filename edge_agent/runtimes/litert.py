"""LiteRT: a `.tflite` file with one signature per batch size, or a plain one with a fixed batch.

Whether it is `ai_edge_litert` or `tflite_runtime`, and what is in the file, is tflitefile's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.runtimes.base import DTYPES, Array, Runtime
from edge_agent.runtimes.fitting import Fitted
from edge_agent.runtimes.tflitefile import Quantum, Signature, open_model, quantum, signatures
from protocol.bundles import Binding, Task, Variant
from protocol.errors import ExecutionError

Slot = tuple[int, Quantum | None]
"""A tensor's index, and how it is quantised when somebody must convert it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One callable batch size: where its tensors are. Each may be quantised in its own way."""

    subgraph: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]


class LiteRTKernel:
    """An interpreter whose signatures are allocated once, when it is loaded.

    The public signature runner resizes and allocates on every call, and knows no other way to reach
    a second signature's tensors: hence the interpreter's own wrapper, which both packages have.
    """

    def __init__(
        self, variant: Variant, data: bytes, threads: int, task: Task | None = None
    ) -> None:
        self._interpreter = open_model(data, threads)
        self._wrapper = self._interpreter._interpreter  # noqa: SLF001  see above
        called = _chosen(variant, signatures(self._interpreter))
        self.converts = frozenset(_real(variant, task) & _quantised(variant, called))
        """The task's tensors that asks have as real numbers and the file as quantised ones."""
        self._entries: dict[int, Entry] = {}
        for rows, signature in called.items():
            self._wrapper.AllocateTensors(signature.subgraph)
            self._entries[rows] = _entry(variant, signature, self.converts)

    def run(self, arrays: list[Array]) -> Sequence[Array]:
        entry = self._entries[arrays[0].shape[0]]
        wrapper, subgraph = self._wrapper, entry.subgraph
        for (index, stored), array in zip(entry.inputs, arrays, strict=True):
            wrapper.SetTensor(index, stored.encode(array) if stored else array, subgraph)
        wrapper.Invoke(subgraph)
        outputs = []
        for index, stored in entry.outputs:
            array = wrapper.GetTensor(index, subgraph)
            outputs.append(stored.decode(array) if stored else array)
        return outputs

    def close(self) -> None:
        del self._wrapper, self._interpreter


def _chosen(variant: Variant, called: Sequence[Signature]) -> dict[int, Signature]:
    """The signature for each of the variant's batches, among those with its tensors."""
    inputs = {binding.name for binding in variant.inputs.values()}
    outputs = {binding.name for binding in variant.outputs.values()}
    found = {
        one.rows: one
        for one in reversed(called)
        if inputs == set(one.inputs) and outputs <= set(one.outputs)
    }
    if not variant.batches or not set(variant.batches) <= set(found):
        has = [(one.rows, [*one.inputs], [*one.outputs]) for one in called]
        raise ExecutionError(
            f"{variant.id} has no signatures for batches {list(variant.batches)}",
            f"the file's signatures (rows, inputs, outputs) are {has}",
        )
    return {rows: found[rows] for rows in variant.batches}


def _entry(variant: Variant, signature: Signature, converts: frozenset[str]) -> Entry:
    def slots(
        bindings: Mapping[str, Binding], details: Mapping[str, dict[str, Any]]
    ) -> tuple[Slot, ...]:
        return tuple(
            (details[b.name]["index"], quantum(details[b.name]) if name in converts else None)
            for name, b in bindings.items()
        )

    return Entry(
        signature.subgraph,
        slots(variant.inputs, signature.inputs),
        slots(variant.outputs, signature.outputs),
    )


def _real(variant: Variant, task: Task | None) -> set[str]:
    """The task's tensors that are real numbers; without the task, any may be."""
    if task is None:
        return {*variant.inputs, *variant.outputs}
    signature = (*task.inputs, *task.outputs)
    return {axes.name for axes in signature if DTYPES[axes.datatype].kind == "f"}


def _quantised(variant: Variant, called: Mapping[int, Signature]) -> set[str]:
    """The task's tensors that the file holds as quantised integers."""
    stored = {
        name
        for one in called.values()
        for name, detail in (*one.inputs.items(), *one.outputs.items())
        if quantum(detail)
    }
    bindings = (*variant.inputs.items(), *variant.outputs.items())
    return {name for name, binding in bindings if binding.name in stored}


def load(variant: Variant, data: bytes, threads: int, task: Task | None = None) -> Runtime:
    """Load the bytes of a `.tflite` file. Without the task, quantised tensors are real numbers."""
    kernel = LiteRTKernel(variant, data, threads, task)
    return Fitted(variant, kernel, task=task, converts=kernel.converts)
