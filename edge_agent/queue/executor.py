"""Runs a batch: inputs joined, the runtime called, outputs cut up again; on a thread, or here.

Nothing a runtime raises gets out of here: it becomes a `Failed`. What runs when is the agent's.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from edge_agent.queue.batching import Waiting
from edge_agent.runtimes.base import DTYPES, Array, Runtime, Tensors
from protocol.bundles import Task
from protocol.codec import Bytes
from protocol.errors import ExecutionError
from protocol.types import Axes, Datatype, Tensor

log = logging.getLogger(__name__)

Outputs = tuple[tuple[Tensor, ...], tuple[Bytes, ...]]


class Ran(NamedTuple):
    """A batch that ran: each member's outputs, in the members' order."""

    outputs: list[Outputs]
    run_ms: float


class Failed(NamedTuple):
    """A batch that did not, and why, safe to show to a tenant."""

    detail: str


Now = Callable[[], float]


def run(runtime: Runtime, task: Task, members: Sequence[Waiting], now: Now) -> Ran | Failed:
    """Run them together; also the last line of defence against what foreign code may raise."""
    try:
        inputs = joined(task, members)
        start = now()
        outputs = runtime.infer(inputs)
        run_ms = (now() - start) * 1e3
        return Ran(cut(task, members, outputs), run_ms)
    except ExecutionError as error:
        return Failed(error.error)
    except Exception:  # the border to foreign code, which raises what it likes
        log.exception("a run of %s failed", members[0].ask.variant)
        return Failed("the model failed on this input")


def joined(task: Task, members: Sequence[Waiting]) -> Tensors:
    """The runtime's inputs. One ask alone is not copied; several are, once, into one block."""
    first = members[0]
    alone = len(members) == 1
    rows = first.rows if alone else sum([member.rows for member in members])
    shapes = {tensor.name: tensor.shape[1:] for tensor in first.ask.inputs}
    inputs: dict[str, Array] = {}
    for place, axes in enumerate(task.inputs):
        whole = first.buffers[place] if alone else b"".join([m.buffers[place] for m in members])
        array = np.frombuffer(whole, DTYPES[axes.datatype]).reshape(rows, *shapes[axes.name])
        # A frame's tensors lie wherever its header ends: not every runtime reads across words.
        inputs[axes.name] = array if array.flags.aligned else array.copy()
    return inputs


def cut(task: Task, members: Sequence[Waiting], outputs: Tensors) -> list[Outputs]:
    """Each member's rows of every output, as views of the runtime's arrays."""
    rows = sum([member.rows for member in members])
    wholes = [_whole(axes, outputs.get(axes.name), rows) for axes in task.outputs]
    if len(members) == 1:
        headers = [_header(axes.name, axes.datatype, array.shape) for axes, array, _ in wholes]
        return [(tuple(headers), tuple([whole for _, _, whole in wholes]))]
    parts: list[Outputs] = []
    start = 0
    for member in members:
        end = start + member.rows
        pieces = [_piece(*whole, start, end) for whole in wholes]
        parts.append((tuple([piece[0] for piece in pieces]), tuple([piece[1] for piece in pieces])))
        start = end
    return parts


def _whole(axes: Axes, array: Array | None, rows: int) -> tuple[Axes, Array, Bytes]:
    """One output, and its bytes."""
    if array is None or not array.ndim or array.shape[0] != rows:
        raise ExecutionError(f"the model gave no {axes.name} for {rows} rows")
    if array.dtype != DTYPES[axes.datatype]:
        raise ExecutionError(f"the model gave {axes.name} as {array.dtype}, not {axes.datatype}")
    flat = np.ascontiguousarray(array)
    return axes, array, flat.data.cast("B") if flat.size else b""


def _piece(axes: Axes, array: Array, whole: Bytes, start: int, end: int) -> tuple[Tensor, Bytes]:
    width = len(whole) // len(array)
    tensor = _header(axes.name, axes.datatype, (end - start, *array.shape[1:]))
    return tensor, whole[start * width : end * width]


@lru_cache(1024)
def _header(name: str, datatype: Datatype, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name=name, datatype=datatype, shape=shape)
