import numpy as np
import pytest

from edge_agent.bundles import smoke
from edge_agent.runtimes import registry
from protocol.errors import ExecutionError, UntrustedError
from tests.data.blend import BLEND, HERE, WIDE, a_variant, expected, some_inputs

TFLITE = registry.available().get("tflite")
pytestmark = pytest.mark.skipif(TFLITE is None, reason="no runtime for tflite in this environment")

BYTES_INSIDE = {
    "inputs": {"x": {"name": "args_0", "datatype": "INT8"}},
    "outputs": {"scores": {"name": "out", "datatype": "INT8"}},
}


def wide(file, task=WIDE, **changes):
    data = (HERE / file).read_bytes()
    return registry.load(a_variant(WIDE, "tflite", data, batches=(1, 8), **changes), data, 1, task)


def wide_inputs(rows):
    spread = np.random.default_rng(3)
    return {"x": spread.uniform(-1, 1, (rows, 64)).astype(np.float32)}


def test_a_plain_file_with_one_signature_is_run_row_by_row():
    data = (HERE / "plain.tflite").read_bytes()
    runtime = registry.load(a_variant(BLEND, "tflite", data, batches=(1,)), data, 1)
    inputs = some_inputs(3)
    np.testing.assert_allclose(
        runtime.infer(inputs)["scores"], expected(inputs)["scores"], atol=1e-5
    )


@pytest.mark.parametrize("task", [WIDE, None], ids=["task known", "task unknown"])
@pytest.mark.parametrize("rows", [1, 3, 8, 9])
def test_a_file_of_bytes_takes_and_gives_real_numbers(rows, task):
    """Each of its signatures is quantised in its own way."""
    inputs = wide_inputs(rows)
    whole = wide("wide.tflite").infer(inputs)["scores"]
    outputs = wide("wide_static.tflite", task, **BYTES_INSIDE).infer(inputs)
    assert outputs["scores"].dtype == np.float32
    assert np.max(np.abs(outputs["scores"] - whole)) < 0.02


def test_a_task_of_bytes_gets_the_files_own_bytes():
    task = WIDE.model_copy(
        update={
            "inputs": (WIDE.inputs[0].model_copy(update={"datatype": "INT8"}),),
            "outputs": (WIDE.outputs[0].model_copy(update={"datatype": "INT8"}),),
        }
    )
    runtime = wide("wide_static.tflite", task, **BYTES_INSIDE)
    outputs = runtime.infer({"x": np.zeros((1, 64), np.int8)})
    assert outputs["scores"].dtype == np.int8


def test_numbers_that_do_not_fit_into_bytes_are_clipped():
    huge = {"x": np.full((1, 64), np.inf, np.float32)}
    outputs = wide("wide_static.tflite", **BYTES_INSIDE).infer(huge)
    assert np.isfinite(outputs["scores"]).all()


def test_batches_that_the_file_has_not_are_an_error_that_names_those_it_has():
    data = (HERE / "blend.tflite").read_bytes()
    with pytest.raises(ExecutionError) as caught:
        registry.load(a_variant(BLEND, "tflite", data, batches=(1, 4)), data, 1)
    assert "32" in caught.value.hint


def test_a_runtime_that_answers_wrongly_without_an_error_fails_the_smoke_test():
    """`tflite_runtime` 2.14 loads what today's quantiser makes, and computes something else."""
    inputs = wide_inputs(3)
    golden = wide("wide.tflite").infer(inputs)
    runtime = wide("wide_dynamic.tflite")
    if TFLITE.name == "tflite_runtime":
        with pytest.raises(UntrustedError, match="off by"):
            smoke.check(runtime, inputs, golden, 0.05)
    else:
        smoke.check(runtime, inputs, golden, 0.05)
