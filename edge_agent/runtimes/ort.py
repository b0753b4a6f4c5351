"""ONNX Runtime: one session per variant, on the CPU, lean per call."""

from collections.abc import Sequence
from typing import Any

import onnxruntime

from edge_agent.runtimes.base import Array, Runtime
from edge_agent.runtimes.filesignature import FileSignature, FileTensor, batches, tensor
from edge_agent.runtimes.fitting import Fitted
from protocol.bundles import Task, Variant

onnxruntime.set_default_logger_severity(3)  # errors only: its warnings are about its own optimiser


# ONNX's name for an element type, where it is not numpy's
_ELEMENTS = {"float": "float32", "double": "float64"}


class OnnxKernel:
    """An `InferenceSession` with its names prepared."""

    def __init__(self, variant: Variant, data: bytes, threads: int) -> None:
        self._session = onnxruntime.InferenceSession(
            data, session_options(threads), providers=["CPUExecutionProvider"]
        )
        # The session's own `run` looks at every call whether each input is there, which has been
        # seen to: what is behind it takes the same arguments.
        self._run = getattr(self._session, "_sess", self._session).run
        self._inputs = tuple(binding.name for binding in variant.inputs.values())
        self._outputs = [binding.name for binding in variant.outputs.values()]

    def run(self, arrays: list[Array]) -> Sequence[Array]:
        feed = dict(zip(self._inputs, arrays, strict=True))
        outputs: Sequence[Array] = self._run(self._outputs, feed, None)
        return outputs

    def close(self) -> None:
        del self._session, self._run


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Nothing spins: other variants and the event loop want these cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def signature(data: bytes) -> FileSignature:
    """What the bytes of an `.onnx` file say of themselves."""
    options = session_options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    inputs = tuple(_tensor(argument) for argument in session.get_inputs())
    outputs = tuple(_tensor(argument) for argument in session.get_outputs())
    # An output's first dimension often has no name of its own, though the inputs' is fixed.
    return FileSignature(inputs, outputs, batches=batches((*inputs, *outputs)))


def _tensor(argument: Any) -> FileTensor:  # noqa: ANN401  foreign, untyped
    element = argument.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in argument.shape)
    return tensor(argument.name, _ELEMENTS.get(element, element), shape)


def load(variant: Variant, data: bytes, threads: int, task: Task | None = None) -> Runtime:
    """Load the bytes of an `.onnx` file."""
    return Fitted(variant, OnnxKernel(variant, data, threads), task=task)
