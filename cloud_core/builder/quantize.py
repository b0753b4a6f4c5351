"""From a file of full precision to int8 ones, in two ways. Which one is kept, pipeline measures.

A static file has its ranges from calibration rows; a dynamic one takes them from each batch that it
sees, so the rows of a batch influence each other: static is preferred where it comes close enough.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_quantizer import calibrator, quantizer, recipe_manager
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.utils import qsv_utils
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from cloud_core.builder.export import without_traces
from cloud_core.builder.exported import Exported, signature
from cloud_core.builder.recipe import Kind
from edge_agent.runtimes.base import DTYPES, Array, Tensors

Way = Callable[[Exported, Tensors], Exported]
"""A whole file and calibration rows -> an int8 file."""

Ranges = dict[str, Any]
"""The quantizer's: tensor -> its extremes."""

_CALIBRATION_BATCH = 32
_EVERY = {"regex": ".*", "operation_name": TFLOperationName.ALL_SUPPORTED}


def onnx_static(source: Exported, calibration: Tensors) -> Exported:
    """Ranges from the calibration rows.

    Weights keep 7 bits: with 8, x86 without VNNI saturates, and answers depend on the processor.
    """
    path = source.path.with_suffix(".static.onnx")
    quantization.quantize_static(
        str(_shaped(source)), str(path), _Rows(calibration),
        quant_format=quantization.QuantFormat.QDQ, per_channel=True, reduce_range=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    return _tidied(source, path)


def onnx_dynamic(source: Exported, _calibration: Tensors) -> Exported:
    """Ranges from each batch; weights as in the static form."""
    path = source.path.with_suffix(".dynamic.onnx")
    quantization.quantize_dynamic(
        str(_shaped(source)), str(path), per_channel=True, reduce_range=True
    )
    return _tidied(source, path)


def tflite_static(source: Exported, calibration: Tensors) -> Exported:
    """Ranges from the calibration rows; inputs and outputs stay float."""
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(**_EVERY, activation_num_bits=8, weight_num_bits=8)
    for border in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        recipe.add_quantization_config(
            regex=".*", operation_name=border, algorithm_key="no_quantize"
        )
    return _tflite(source, recipe, calibration, "static")


def tflite_dynamic(source: Exported, calibration: Tensors) -> Exported:
    """Ranges from each batch."""
    recipe = recipe_manager.RecipeManager()
    recipe.add_dynamic_config(**_EVERY, num_bits=8)
    return _tflite(source, recipe, calibration, "dynamic")


WAYS: Mapping[Kind, Mapping[str, Way]] = {
    "onnx": {"static": onnx_static, "dynamic": onnx_dynamic},
    "tflite": {"static": tflite_static, "dynamic": tflite_dynamic},
}
"""By format; the preferred way first."""


def _shaped(source: Exported) -> Path:
    """The file with shapes inferred, as the quantizer wants it."""
    shaped = source.path.with_suffix(".shaped.onnx")
    if not shaped.exists():
        quant_pre_process(str(source.path), str(shaped), skip_symbolic_shape=True)
    return shaped


def _tflite(
    source: Exported, recipe: recipe_manager.RecipeManager, calibration: Tensors, way: str
) -> Exported:
    rows = {
        name: calibration[name].astype(DTYPES[binding.datatype])
        for name, binding in source.inputs.items()
    }
    made = quantizer.Quantizer(str(source.path), recipe.get_quantization_recipe())
    ranges = _ranges(source, recipe, rows) if made.need_calibration else None
    path = source.path.with_suffix(f".{way}.tflite")
    path.write_bytes(bytes(made.quantize(ranges).quantized_model))
    return replace(source, path=path)


def _ranges(source: Exported, recipe: recipe_manager.RecipeManager, rows: Tensors) -> Ranges:
    """The extremes of every row, and so the same for every signature.

    The quantizer's own calibration takes a moving average of each batch's extremes. That differs
    between signatures, which share their biases: a row's answer then depends on its batch's size.
    """
    gauge = calibrator.Calibrator(str(source.path), qsv_update_func=qsv_utils.min_max_update)
    batches = {signature(size): list(_batches(rows, size)) for size in source.batches}
    gauge.calibrate(batches, recipe)
    ranges: Ranges = gauge.get_model_qsvs()
    return ranges


def _tidied(source: Exported, path: Path) -> Exported:
    onnx.save(without_traces(onnx.load(path)), path)
    return replace(source, path=path)


def _batches(rows: Tensors, size: int) -> Iterator[dict[str, Array]]:
    """Cut every row into full batches; the last is made up with rows from the beginning."""
    count = min(len(array) for array in rows.values())
    for start in range(0, count, size):
        chosen = np.arange(start, start + size) % count
        yield {name: array[chosen] for name, array in rows.items()}


class _Rows(quantization.CalibrationDataReader):  # type: ignore[misc]  # not typed for us
    """Calibration rows as ONNX Runtime's quantizer wants them."""

    def __init__(self, rows: Tensors) -> None:
        self._left = _batches(rows, _CALIBRATION_BATCH)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._left, None)
