"""torch, for `.pt2` files (exported programs), on CUDA where there is one. A `.pt2` is code.

Its inputs are called as `forward` calls them; its outputs by the keys of the dictionary that
`forward` returns or, where it returns a tensor or several, `output_0`, `output_1` and so on.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind
from torch.export.passes import move_to_device_pass
from torch.utils._pytree import tree_leaves, tree_unflatten

from edge_agent.runtimes.base import Array, Runtime
from edge_agent.runtimes.filesignature import MAX_BATCH, FileSignature, FileTensor, batches, tensor
from edge_agent.runtimes.fitting import Fitted
from protocol.bundles import Task, Variant
from protocol.errors import ExecutionError

with suppress(ImportError):
    # `torch.export.load` would import it when first called: a second that is no single file's cost.
    import_module("torch._dynamo")

Call = Callable[[list[Any]], Sequence[Any]]
"""Tensors in, tensors out, in the program's own order."""


def open_program(data: bytes) -> Any:  # noqa: ANN401  foreign, untyped
    """Return the exported program, from memory."""
    return torch.export.load(io.BytesIO(data))


def input_names(program: Any) -> list[str]:  # noqa: ANN401  foreign, untyped
    """Names of what `forward` takes, in its order."""
    return [str(name) for name in program.graph_signature.user_inputs]


def output_names(program: Any) -> list[str]:  # noqa: ANN401  foreign, untyped
    """Names of what `forward` returns, in its order."""
    spec = program.call_spec.out_spec
    if spec.type is dict:
        return [str(key) for key in spec.context]
    return [f"output_{place}" for place in range(spec.num_leaves)]


class TorchKernel:
    """An exported program's own graph, called with its weights.

    Measured on torch 2.13: `program.module()` spends about 110 microseconds a call on trees and
    guards, the graph itself none. A graph that also changes buffers or takes other things than
    tensors is called through the module all the same.
    """

    def __init__(self, variant: Variant, data: bytes, threads: int) -> None:
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        program = open_program(data)
        if self._device != "cpu":
            program = move_to_device_pass(program, self._device)
        takes, gives = input_names(program), output_names(program)
        self._takes = _places(variant, takes, [b.name for b in variant.inputs.values()])
        self._gives = _places(variant, gives, [b.name for b in variant.outputs.values()])
        self._call = _called(program)

    def run(self, arrays: list[Array]) -> Sequence[Array]:
        inputs: list[Any] = [None] * len(arrays)
        for place, array in zip(self._takes, arrays, strict=True):
            inputs[place] = _tensor(array, self._device)
        with torch.inference_mode():
            outputs = self._call(inputs)
            return [outputs[place].cpu().numpy() for place in self._gives]

    def close(self) -> None:
        del self._call
        if self._device != "cpu":
            torch.cuda.empty_cache()


def _called(program: Any) -> Call:  # noqa: ANN401  foreign, untyped
    """The quickest way to call the program: inputs and outputs flat, in its order."""
    weights = _weights(program)
    if weights is not None:
        forward = program.graph_module.forward
        return lambda inputs: forward(*weights, *inputs)
    module, takes = program.module(), program.call_spec.in_spec

    def call(inputs: list[Any]) -> Sequence[Any]:
        positional, named = tree_unflatten(inputs, takes)
        leaves: Sequence[Any] = tree_leaves(module(*positional, **named))
        return leaves

    return call


def _places(variant: Variant, has: list[str], wanted: list[str]) -> list[int]:
    """Where each of the variant's tensors stands among the program's."""
    try:
        return [has.index(name) for name in wanted]
    except ValueError as error:
        raise ExecutionError(f"{variant.id} has not all of {wanted}", f"it has {has}") from error


def _weights(program: Any) -> tuple[Any, ...] | None:  # noqa: ANN401  foreign, untyped
    """What the graph takes before the inputs; None when it is not that simple."""
    signature = program.graph_signature
    plain = {OutputKind.USER_OUTPUT} == {spec.kind for spec in signature.output_specs}
    held = {**program.state_dict, **program.constants}
    weights = []
    inputs_began = False
    for spec in signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            inputs_began = True
        elif inputs_began or not isinstance(held.get(spec.target), torch.Tensor):
            return None
        else:
            weights.append(held[spec.target])
    return tuple(weights) if plain else None


def _tensor(array: Array, device: str) -> torch.Tensor:
    """Torch has no read-only tensors: what came over the wire is copied once, here."""
    writable = array if array.flags.writeable else array.copy()
    return torch.from_numpy(writable).to(device)


def signature(data: bytes) -> FileSignature:
    """What the bytes of a `.pt2` file say of themselves. Reading them may run code in them."""
    program = open_program(data)
    takes, gives = input_names(program), output_names(program)
    nodes = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    graph = program.graph_signature
    inputs = tuple(_said(n, nodes[v]) for n, v in zip(takes, graph.user_inputs, strict=True))
    outputs = tuple(_said(n, nodes[v]) for n, v in zip(gives, graph.user_outputs, strict=True))
    return FileSignature(
        inputs,
        outputs,
        batches=batches((*inputs, *outputs)),
        max_batch=_largest(program),
    )


def _said(name: str, value: Any) -> FileTensor:  # noqa: ANN401  foreign, untyped
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in value.shape)
    return tensor(name, str(value.dtype).removeprefix("torch."), shape)


def _largest(program: Any) -> int:  # noqa: ANN401  foreign, untyped
    """The largest batch that every free dimension permits, up to the usual one."""
    uppers: list[Any] = [limits.upper for limits in program.range_constraints.values()]
    return min([MAX_BATCH, *(int(upper) for upper in uppers if upper.is_finite)])


def load(variant: Variant, data: bytes, threads: int, task: Task | None = None) -> Runtime:
    """Load the bytes of a `.pt2` file. This may run code that is in it: see the README on trust."""
    return Fitted(variant, TorchKernel(variant, data, threads), task=task)
