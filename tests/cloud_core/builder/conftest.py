"""What tests of the builder share: the other environments, by name or as environment variables."""

import os
from pathlib import Path

import pytest

from cloud_core.builder.process import ROOT, environment


def interpreter(variable: str, name: str) -> Path:
    named = os.environ.get(variable)
    found = Path(named) if named else environment(name, ROOT)
    if found is None:
        pytest.skip(f"needs {name} (or {variable})")
    return found


@pytest.fixture(scope="session")
def builder_python() -> Path:
    """An environment with the `build` extra."""
    return interpreter("TIERMESH_BUILD_PYTHON", ".venv-build")


@pytest.fixture(scope="session")
def tflite_python() -> Path:
    """An environment with the `tflite` extra."""
    return interpreter("TIERMESH_TFLITE_PYTHON", ".venv-tflite")
