"""Makes the small model files beside it, which are committed: ``python -m tests.data.make_models``.

Needs the builder's environment. What the files compute is in `blend.py`.
"""

from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import quantizer, recipe
from onnx import TensorProto, checker, helper, numpy_helper, save

from tests.data.blend import BIAS, WEIGHTS
from tests.data.modules import Blend, Wide

HERE = Path(__file__).parent


def rows(count, width=4):
    return torch.linspace(-1, 1, count * width).reshape(count, width)


def make_onnx() -> None:
    real = TensorProto.FLOAT
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("MatMul", ["a", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["shifted"]),
            helper.make_node("Relu", ["shifted"], ["out"]),
        ],
        "blend",
        [value("a", real, ["n", 4]), value("b", real, ["n", 4])],
        [value("sum", real, ["n", 4]), value("out", real, ["n", 3])],
        [numpy_helper.from_array(WEIGHTS, "weights"), numpy_helper.from_array(BIAS, "bias")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
    checker.check_model(model)
    save(model, HERE / "blend.onnx")


def make_twice() -> None:
    """Any number of values in, as many out: for tensors that are large."""
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "twice",
        [helper.make_tensor_value_info("x", real, ["n", "width"])],
        [helper.make_tensor_value_info("y", real, ["n", "width"])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
    checker.check_model(model)
    save(model, HERE / "twice.onnx")


def make_tflite() -> None:
    blend = Blend().eval()
    litert_torch.convert(blend, (rows(1), rows(1))).export(str(HERE / "plain.tflite"))
    several = litert_torch.signature("batch_1", blend, (rows(1), rows(1)))
    for count in (8, 32):
        several = several.signature(f"batch_{count}", blend, (rows(count), rows(count)))
    several.convert().export(str(HERE / "blend.tflite"))

    wide = Wide().eval()
    several = litert_torch.signature("batch_1", wide, (rows(1, 64),))
    several.signature("batch_8", wide, (rows(8, 64),)).convert().export(str(HERE / "wide.tflite"))
    for name, wanted in (
        ("dynamic", recipe.dynamic_wi8_afp32()),
        ("static", recipe.static_wi8_ai8()),
    ):
        made = quantizer.Quantizer(str(HERE / "wide.tflite"), wanted)
        calibration = None
        if made.need_calibration:
            spread = np.random.default_rng(1)
            calibration = made.calibrate(
                {
                    f"batch_{count}": [
                        {"args_0": spread.uniform(-1, 1, (count, 64)).astype(np.float32)}
                        for _ in range(16)
                    ]
                    for count in (1, 8)
                }
            )
        made.quantize(calibration).export_model(str(HERE / f"wide_{name}.tflite"), overwrite=True)


if __name__ == "__main__":
    make_onnx()
    make_twice()
    make_tflite()
