"""What a source recipe is: a task, its trained architectures, and how well an answer does.

A recipe is a Python module with three names; README.md beside this file shows one:

* ``TASK``             a `protocol.bundles.Task`
* ``architectures()``  the trained models, an iterable of `Architecture`
* ``validation()``     a `Validation`

What is made of it is in pipeline.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_agent.runtimes.base import Tensors
from protocol.bundles import Task
from protocol.errors import BadRequestError, UnknownError

Kind = Literal["onnx", "tflite", "pt2"]
"""The formats that the builder writes."""

Form = Literal["onnx-fp32", "onnx-int8", "tflite-fp32", "tflite-int8", "pt2-fp32"]

PARTS: Mapping[Form, tuple[Kind, str]] = {
    "onnx-fp32": ("onnx", "fp32"),
    "onnx-int8": ("onnx", "int8"),
    "tflite-fp32": ("tflite", "fp32"),
    "tflite-int8": ("tflite", "int8"),
    "pt2-fp32": ("pt2", "fp32"),
}
"""Each form's format and precision, in the order in which they are made."""

FORMS = tuple(PARTS)
"""Every form that the builder can make."""

BUNDLED = {
    "digits": "cloud_core.builder.tasks.digits",
    "sentence-embedding": "cloud_core.builder.tasks.sentence_embedding",
}
"""Recipes that come with tiermesh."""

_SHAPE = "a recipe has TASK, architectures() and validation(): see cloud_core/builder/README.md"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One trained model."""

    name: str
    module: Any  # a torch.nn.Module; torch has no place in a file that is read without it
    """Takes the task's inputs in the task's order, as arguments of the same names, and returns
    its outputs in order: a tensor, or a tuple of them."""
    forms: Sequence[Form] = FORMS
    batches: tuple[int, ...] = (1, 8, 32)
    """LiteRT has fixed batches: one signature for each of these, ascending."""
    max_batch: int = 32


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What quality is measured with."""

    inputs: Tensors
    """Held out: never trained on, never calibrated on."""
    quality: Callable[[Tensors], float]
    """The outputs for all of `inputs` -> the task's metric, 0 to 1."""
    calibration: Tensors
    """Rows of the training data: what static quantization takes its ranges from."""
    golden_rows: int = 4
    """How many of the held-out rows go into the bundle as its smoke test."""


@dataclass(frozen=True)
class Recipe:
    """A recipe that has been found, and has the three names."""

    task: Task
    architectures: Callable[[], Iterable[Architecture]]
    validation: Callable[[], Validation]


def read(source: str) -> Recipe:
    """Return the recipe of that name, or in that file. A file is code, and is run."""
    if source in BUNDLED:
        return _recipe(importlib.import_module(BUNDLED[source]))
    path = Path(source)
    if path.suffix != ".py" or not path.is_file():
        raise UnknownError(
            f"no recipe {source!r}",
            f"give {', '.join(sorted(BUNDLED))} or the path of a recipe, a .py file",
        )
    return _recipe(_module(path.resolve()))


def top1(output: str, labels: npt.NDArray[np.integer[Any]]) -> Callable[[Tensors], float]:
    """Return the usual quality of a classifier: the share of rows whose best class is the label."""

    def quality(outputs: Tensors) -> float:
        return float(np.mean(np.argmax(outputs[output], axis=1) == labels))

    return quality


def _module(path: Path) -> ModuleType:
    name = f"tiermesh_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadRequestError(f"cannot read {path}", _SHAPE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _recipe(module: ModuleType) -> Recipe:
    task = getattr(module, "TASK", None)
    architectures = getattr(module, "architectures", None)
    validation = getattr(module, "validation", None)
    if not isinstance(task, Task) or not callable(architectures) or not callable(validation):
        raise BadRequestError(f"{module.__name__} is not a recipe", _SHAPE)
    return Recipe(task, architectures, validation)
