"""From a trained torch model to files of full precision: ONNX, LiteRT, `.pt2`. Not smaller ones.

Every file takes the task's input names; what its outputs are called differs, so each step returns
the bindings. Nothing of the machine that built it stays in a file (exporters write stack traces).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import onnx
import torch

from cloud_core.builder.exported import Exported, signature
from cloud_core.builder.recipe import Architecture
from edge_agent.runtimes import tflitefile
from edge_agent.runtimes.base import DTYPES, Tensors
from protocol.bundles import Binding, Task

OPSET = 18
"""Old enough for the ONNX Runtime of a board, new enough for what torch exports."""


_DATATYPES = {dtype: name for name, dtype in DTYPES.items()}


def to_onnx(architecture: Architecture, task: Task, rows: Tensors, path: Path) -> Exported:
    """Export with a free batch size."""
    with _quietly(), torch.no_grad():
        torch.onnx.export(
            architecture.module,
            _arguments(task, rows, 2),
            str(path),
            input_names=[axes.name for axes in task.inputs],
            output_names=_output_names(task),
            dynamic_shapes=_free_batch(task),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            verbose=False,
        )
    onnx.save(without_traces(onnx.load(path)), path)
    return Exported(path, "onnx", _inputs(task), _outputs(task))


def to_tflite(architecture: Architecture, task: Task, rows: Tensors, path: Path) -> Exported:
    """Export one signature per batch size: LiteRT's batches are fixed."""
    names = [axes.name for axes in task.inputs]
    whole: Any = litert_torch
    with _quietly(), torch.no_grad():
        for batch in architecture.batches:
            sample = dict(zip(names, _arguments(task, rows, batch), strict=True))
            whole = whole.signature(signature(batch), architecture.module, sample_kwargs=sample)
        whole.convert().export(str(path))
    first = tflitefile.signatures(tflitefile.open_model(path.read_bytes(), 1))[0].inputs
    inputs = {
        # the converter narrows INT64 to INT32
        name: Binding(name=name, datatype=_DATATYPES[np.dtype(first[name]["dtype"])])
        for name in names
    }
    return Exported(path, "tflite", inputs, _outputs(task), architecture.batches)


def to_pt2(architecture: Architecture, task: Task, rows: Tensors, path: Path) -> Exported:
    """Export with a free batch size, without sample inputs (a pickle, which agents refuse)."""
    with _quietly(), torch.no_grad():
        program = torch.export.export(
            architecture.module, _arguments(task, rows, 2), dynamic_shapes=_free_batch(task)
        )
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(key, None)
    program.example_inputs = None
    torch.export.save(program, path)
    return Exported(path, "pt2", _inputs(task), _outputs(task))


def answers(architecture: Architecture, task: Task, rows: Tensors) -> Tensors:
    """What the source model itself answers."""
    arguments = [torch.from_numpy(rows[axes.name]) for axes in task.inputs]
    with torch.no_grad():
        outputs = architecture.module(*arguments)
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    return {axes.name: output.numpy() for axes, output in zip(task.outputs, several, strict=True)}


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's notes: they name files of the machine it ran on."""
    del model.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        part.doc_string = ""
        del part.metadata_props[:]
    for rest in (*model.graph.output, *model.graph.initializer, model.graph, *model.functions):
        rest.doc_string = ""
        del rest.metadata_props[:]
    return model


def _arguments(task: Task, rows: Tensors, batch: int) -> tuple[torch.Tensor, ...]:
    """As many real rows as the example needs; a short set is repeated."""
    chosen = [number % len(rows[task.inputs[0].name]) for number in range(batch)]
    return tuple(torch.from_numpy(rows[axes.name][chosen]) for axes in task.inputs)


def _free_batch(task: Task) -> tuple[dict[int, Any], ...]:
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    return tuple({0: batch} for _ in task.inputs)


def _inputs(task: Task) -> dict[str, Binding]:
    return {axes.name: Binding(name=axes.name, datatype=axes.datatype) for axes in task.inputs}


def _output_names(task: Task) -> list[str]:
    """Not the task's own: those may be taken inside the file, where exporters name things too."""
    return [f"output_{place}" for place in range(len(task.outputs))]


def _outputs(task: Task) -> dict[str, Binding]:
    return {
        axes.name: Binding(name=name, datatype=axes.datatype)
        for axes, name in zip(task.outputs, _output_names(task), strict=True)
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """Exporters warn about their own insides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
