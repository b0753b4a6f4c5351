import subprocess
import sys
from importlib.metadata import version

import pytest

from edge_agent.runtimes import registry
from protocol.errors import ExecutionError
from tests.data.blend import BLEND, HERE, a_variant

HEAVY = ("torch", "onnxruntime", "ai_edge_litert", "tflite_runtime", "tensorflow")


def test_the_runtimes_that_are_here_are_named_with_their_versions():
    found = registry.available()
    assert found["table"] == registry.TABLE
    if "onnx" in found:
        assert found["onnx"].name == "onnxruntime"
        assert found["onnx"].version == version("onnxruntime")


def test_a_build_label_is_not_another_version():
    pin = registry.available().get("pt2")
    if pin is None:
        pytest.skip("torch is not in this environment")
    assert "+" not in pin.version


def test_looking_imports_no_runtime():
    program = (
        "import sys; from edge_agent.runtimes import registry; registry.available();"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_litert_is_preferred_and_tflite_runtime_is_taken_where_it_is_alone(monkeypatch):
    installed = {"ai_edge_litert": "2.3.0", "tflite_runtime": "2.14.0"}
    monkeypatch.setattr(registry, "find_spec", installed.get)
    monkeypatch.setattr(registry, "version", lambda name: installed[name.replace("-", "_")])
    assert registry.available()["tflite"].name == "ai_edge_litert"
    del installed["ai_edge_litert"]
    assert registry.available()["tflite"].version == "2.14.0"
    installed.clear()
    assert set(registry.available()) == {"table"}


def test_a_missing_runtime_is_an_error_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    data = (HERE / "blend.onnx").read_bytes()
    with pytest.raises(ExecutionError) as caught:
        registry.load(a_variant(BLEND, "onnx", data), data)
    assert "tiermesh[onnx]" in caught.value.hint


def test_preparing_a_runtime_that_is_not_here_does_nothing(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    registry.prepare("onnx")
