"""Which runtimes this machine has, and loading a variant with the right one.

Looks without importing: a runtime is imported when its first variant is loaded.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import get_args

from edge_agent.runtimes.base import Runtime
from protocol.bundles import Format, RuntimePin, Task, Variant
from protocol.errors import ExecutionError, MeshError

TABLE = RuntimePin(name="table", version="1")

# (module, distribution) of each format's runtimes, the preferred one first
_NEEDS: Mapping[Format, tuple[tuple[str, str], ...]] = {
    "onnx": (("onnxruntime", "onnxruntime"),),
    "tflite": (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime")),
    "pt2": (("torch", "torch"),),
    "table": (),
}

_ADAPTERS: Mapping[Format, str] = {
    "onnx": "edge_agent.runtimes.ort",
    "tflite": "edge_agent.runtimes.litert",
    "pt2": "edge_agent.runtimes.pytorch",
    "table": "edge_agent.runtimes.table",
}

INSTALL: Mapping[Format, str] = {
    "onnx": "pip install 'tiermesh[onnx]'",
    "tflite": "pip install 'tiermesh[litert]' (or 'tiermesh[tflite]' where that has no wheel)",
    "pt2": "pip install 'tiermesh[torch]'",
    "table": "",
}
"""How a missing runtime is installed."""


def available() -> dict[Format, RuntimePin]:
    """The formats that this node can run, and with what; no runtime is imported."""
    pins = {form: _pin(form) for form in get_args(Format)}
    return {form: pin for form, pin in pins.items() if pin is not None}


def prepare(form: Format) -> None:
    """Import the runtime, where it is there: once in a process, and no single variant's cost."""
    if _pin(form) is not None:
        import_module(_ADAPTERS[form])


def load(variant: Variant, data: bytes, threads: int = 1, task: Task | None = None) -> Runtime:
    """Load the verified bytes with `threads` intra-op threads. Raises `ExecutionError`.

    With the task given, outputs come in its datatypes where the file's differ.
    """
    if _pin(variant.format) is None:
        raise ExecutionError(f"no runtime for {variant.format} files", INSTALL[variant.format])
    adapter = import_module(_ADAPTERS[variant.format])
    try:
        runtime: Runtime = adapter.load(variant, data, threads, task)
    except MeshError:
        raise
    except Exception as error:  # the border to foreign code, which raises what it likes
        raise ExecutionError(
            f"{variant.id} cannot be loaded", f"is it a whole {variant.format} file?"
        ) from error
    return runtime


def _pin(form: Format) -> RuntimePin | None:
    if form == "table":
        return TABLE
    for module, distribution in _NEEDS[form]:
        if find_spec(module) is None:
            continue
        try:
            # A build label (2.13.0+cpu) is the same release.
            release = version(distribution).partition("+")[0]
        except PackageNotFoundError:
            continue
        return RuntimePin.model_validate({"name": module, "version": release})
    return None
