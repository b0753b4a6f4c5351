import numpy as np
import pytest

from edge_agent.bundles.store import Held, Store
from edge_agent.runtimes import bare, registry
from edge_agent.runtimes.filesignature import batches, tensor
from protocol.errors import BadRequestError
from tests.data.blend import HERE, expected, some_inputs


def read(file, **options):
    suffix = file.rpartition(".")[2]
    if suffix not in registry.available():
        pytest.skip(f"no runtime for {suffix} in this environment")
    data = (HERE / file).read_bytes()
    return bare.read(file, data, **options), data


def shapes(tensors):
    return {axes.name: axes.shape for axes in tensors}


def test_a_free_first_dimension_takes_any_batch():
    found, _ = read("blend.onnx")
    assert found.task.name == "blend"
    assert shapes(found.task.inputs) == {"a": (-1, 4), "b": (-1, 4)}
    assert shapes(found.task.outputs) == {"sum": (-1, 4), "out": (-1, 3)}
    assert found.variant.batches == ()


def test_every_signature_of_the_same_function_is_a_batch():
    found, _ = read("blend.tflite")
    assert shapes(found.task.inputs) == {"args_0": (-1, 4), "args_1": (-1, 4)}
    assert found.variant.batches == (1, 8, 32)
    assert found.variant.max_batch == 32
    runs = found.variant.profile.runs  # guessed; larger batches are not said to take no longer
    assert runs[32].ms[0] == 4 * runs[8].ms[0] == 32 * runs[1].ms[0]


def test_a_plain_file_has_the_one_batch_it_was_made_for():
    found, _ = read("plain.tflite")
    assert found.variant.batches == (1,)


def test_quantised_tensors_are_offered_as_real_numbers():
    found, data = read("wide_static.tflite")
    assert found.task.name == "wide-static"
    assert {axes.datatype for axes in found.task.inputs} == {"FP32"}
    assert found.variant.inputs["args_0"].datatype == "INT8"
    runtime = registry.load(found.variant, data, 1, found.task)
    outputs = runtime.infer({"args_0": np.zeros((3, 64), np.float32)})
    assert outputs["out"].dtype == np.float32


@pytest.mark.parametrize("file", ["blend.onnx", "blend.tflite", "plain.tflite"])
def test_a_bare_file_is_held_and_run(file, tmp_path):
    found, data = read(file, name="mine")
    store = Store()
    store.add(Held(found.variant, found.task, tmp_path), data)
    assert store.unable(registry.available()) == {}
    assert store.golden(found.variant.id) == ({}, {})
    runtime = registry.load(found.variant, store.read(found.variant.id), 1, store.tasks["mine"])
    inputs = some_inputs(3)
    left, right = (axes.name for axes in found.task.inputs)
    outputs = runtime.infer({left: inputs["left"], right: inputs["right"]})
    np.testing.assert_allclose(outputs["out"], expected(inputs)["scores"], atol=1e-5)


@pytest.mark.parametrize(
    ("stem", "name"),
    [("My_Model v2", "my-model-v2"), ("résumé", "r-sum"), ("---", "model"), ("x" * 99, "x" * 63)],
)
def test_a_task_is_named_after_its_file(stem, name):
    assert bare.task_name(stem) == name


@pytest.mark.parametrize("file", ["model.onnx", "model.tflite"])
def test_bytes_that_are_no_model_are_a_bad_request(file):
    if file.rpartition(".")[2] not in registry.available():
        pytest.skip("its runtime is not in this environment")
    with pytest.raises(BadRequestError, match="not a whole"):
        bare.read(file, b"nothing of the kind")


def test_another_kind_of_file_is_a_bad_request_that_names_the_known_kinds():
    with pytest.raises(BadRequestError) as caught:
        bare.read("model.pkl", b"")
    assert ".onnx" in caught.value.hint


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    with pytest.raises(BadRequestError) as caught:
        bare.read("model.onnx", b"")
    assert "tiermesh[onnx]" in caught.value.hint


@pytest.mark.parametrize("name", ["nine lives", "UPPER", "a.b"])
def test_a_name_that_no_task_may_have_is_a_bad_request(name):
    with pytest.raises(BadRequestError, match="name"):
        read("blend.onnx", name=name)


@pytest.mark.parametrize(
    ("dims", "sizes"),
    [([(-1, 3), (-1,)], ()), ([(4, 3), (4,)], (4,)), ([(4, 3), (-1, 2)], (4,))],
)
def test_the_first_dimension_of_all_is_the_batch(dims, sizes):
    tensors = [tensor(f"t{n}", "float32", shape) for n, shape in enumerate(dims)]
    assert batches(tensors) == sizes


@pytest.mark.parametrize("dims", [[(4, 3), (1, 2)], [(4, 3), ()], [(0, 3)]])
def test_first_dimensions_that_are_no_batch_are_a_bad_request(dims):
    tensors = [tensor(f"t{n}", "float32", shape) for n, shape in enumerate(dims)]
    with pytest.raises(BadRequestError):
        batches(tensors)


def test_a_datatype_that_the_mesh_does_not_carry_is_a_bad_request():
    with pytest.raises(BadRequestError, match="complex64"):
        tensor("t", "complex64", (-1,))
