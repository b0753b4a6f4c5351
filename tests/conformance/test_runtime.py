"""What every runtime must do. Run it with any interpreter: it takes the runtimes that are there."""

import io
import json

import numpy as np
import pytest

from edge_agent.runtimes import registry
from protocol.bundles import Binding
from protocol.errors import ExecutionError
from protocol.types import Axes
from tests.data.blend import BLEND, HERE, a_variant, expected, some_inputs

FORMS = ("onnx", "tflite", "pt2", "table")
COMPUTING = ("onnx", "tflite", "pt2")
TABLE = {"runs": {"1": [0.0] * 5}, "outputs": {"out": [3], "sum": [4]}}


@pytest.fixture(scope="session")
def pt2():
    """A `.pt2` made now: it depends on torch's version."""
    torch = pytest.importorskip("torch", reason="torch is not in this environment")
    from tests.data.modules import Blend  # noqa: PLC0415  needs torch

    examples = torch.zeros(4, 4), torch.zeros(4, 4)  # one tensor twice would be exported as one
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(
        Blend().eval(), examples, dynamic_shapes={"a": {0: batch}, "b": {0: batch}}
    )
    made = io.BytesIO()
    torch.export.save(program, made)
    return made.getvalue()


@pytest.fixture
def model(request):
    """Variant and bytes of the blend model in a format; skipped where no runtime runs it."""

    def made(form, **changes):
        if form not in registry.available():
            pytest.skip(f"no runtime for {form} in this environment")
        match form:
            case "pt2":
                data = request.getfixturevalue("pt2")
            case "table":
                data = json.dumps(TABLE).encode()
            case _:
                data = (HERE / f"blend.{form}").read_bytes()
        if form == "tflite":
            changes = {"batches": (1, 8, 32)} | changes
        return a_variant(BLEND, form, data, **changes), data

    return made


@pytest.fixture
def load(model):
    """Load the blend model in a format."""
    loaded = []

    def made(form, task=None, **changes):
        variant, data = model(form, **changes)
        loaded.append(registry.load(variant, data, 1, task))
        return loaded[-1]

    yield made
    for runtime in loaded:
        runtime.close()


@pytest.mark.parametrize("form", COMPUTING)
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 31, 32, 33, 75])
def test_any_number_of_rows_gives_what_numpy_gives(load, form, rows):
    inputs = some_inputs(rows)
    outputs = load(form).infer(inputs)
    wanted = expected(inputs)
    assert set(outputs) == {"scores", "total"}
    for name, array in wanted.items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], array, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_outputs_have_the_tasks_names_and_shapes(load, form, rows):
    outputs = load(form).infer(some_inputs(rows))
    assert {name: array.shape for name, array in outputs.items()} == {
        "scores": (rows, 3),
        "total": (rows, 4),
    }


@pytest.mark.parametrize("form", COMPUTING)
@pytest.mark.parametrize("rows", [1, 5])
def test_an_answer_survives_the_next_run(load, form, rows):
    runtime = load(form)
    first = runtime.infer(some_inputs(rows, seed=1))
    kept = {name: array.copy() for name, array in first.items()}
    runtime.infer(some_inputs(rows, seed=2))
    for name, array in kept.items():
        np.testing.assert_array_equal(first[name], array)


@pytest.mark.parametrize("form", COMPUTING)
@pytest.mark.parametrize("rows", [1, 5])
def test_inputs_may_be_views_of_a_frame_and_are_left_as_they_were(load, form, rows):
    inputs = some_inputs(rows)
    frames = {name: array.tobytes() for name, array in inputs.items()}
    views = {
        name: np.frombuffer(memoryview(b"x" * 7 + frame)[7:], np.float32).reshape(rows, 4)
        for name, frame in frames.items()
    }
    outputs = load(form).infer(views)
    np.testing.assert_allclose(outputs["scores"], expected(inputs)["scores"], atol=1e-5)
    assert {name: array.tobytes() for name, array in views.items()} == frames


@pytest.mark.parametrize("form", FORMS)
def test_outputs_can_be_sent_without_a_copy(load, form):
    for array in load(form).infer(some_inputs(5)).values():
        assert memoryview(array).c_contiguous


@pytest.mark.parametrize("form", COMPUTING)
def test_the_order_of_the_inputs_means_nothing(load, form):
    inputs = some_inputs(3)
    turned = dict(reversed(inputs.items()))
    np.testing.assert_allclose(
        load(form).infer(turned)["scores"], expected(inputs)["scores"], atol=1e-5
    )


@pytest.mark.parametrize("form", COMPUTING)
def test_datatypes_are_converted_both_ways(load, form):
    """The task has whole numbers and doubles where the file has FP32."""
    task = BLEND.model_copy(
        update={
            "inputs": tuple(
                Axes(name=axes.name, datatype="INT64", shape=axes.shape) for axes in BLEND.inputs
            ),
            "outputs": tuple(
                Axes(name=axes.name, datatype="FP64", shape=axes.shape) for axes in BLEND.outputs
            ),
        }
    )
    inputs = {name: (10 * array).astype(np.int64) for name, array in some_inputs(3).items()}
    outputs = load(form, task).infer(inputs)
    wanted = expected({name: array.astype(np.float32) for name, array in inputs.items()})
    for name, array in outputs.items():
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, wanted[name], rtol=1e-5)


@pytest.mark.parametrize("form", COMPUTING)
@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"left": np.zeros((1, 4), np.float32)},
        {"left": np.zeros((1, 4), np.float32), "right": np.zeros((2, 4), np.float32)},
        {"left": np.zeros((1, 5), np.float32), "right": np.zeros((1, 5), np.float32)},
        {"left": np.zeros((0, 4), np.float32), "right": np.zeros((0, 4), np.float32)},
        {"left": np.zeros((), np.float32), "right": np.zeros((), np.float32)},
    ],
    ids=["none", "one missing", "rows differ", "wrong shape", "no rows", "scalars"],
)
def test_inputs_that_do_not_fit_are_an_error_and_harm_nothing(load, form, inputs):
    runtime = load(form)
    with pytest.raises(ExecutionError):
        runtime.infer(inputs)
    good = some_inputs(2)
    np.testing.assert_allclose(
        runtime.infer(good)["scores"], expected(good)["scores"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "spoil", [lambda _: b"", lambda _: b"not a model", lambda d: d[: len(d) // 2]]
)
def test_bytes_that_are_no_model_are_an_error(model, form, spoil):
    variant, data = model(form)
    with pytest.raises(ExecutionError):
        registry.load(variant, spoil(data), 1)


@pytest.mark.parametrize("form", FORMS)
def test_an_output_that_the_file_has_not_is_an_error(load, form):
    wrong = {name: Binding(name=f"{name}-not", datatype="FP32") for name in ("scores", "total")}
    with pytest.raises(ExecutionError):
        load(form, outputs=wrong).infer(some_inputs(1))


@pytest.mark.parametrize("form", COMPUTING)
def test_two_of_one_file_do_not_disturb_each_other(load, model, form):
    one, other = load(form), registry.load(*model(form), 1)
    inputs = some_inputs(4)
    one.infer(some_inputs(4, seed=9))
    other.close()
    np.testing.assert_allclose(
        one.infer(inputs)["scores"], expected(inputs)["scores"], rtol=1e-5, atol=1e-5
    )
