"""The two small test models: what they compute, and the variants that the committed files are.

`blend` has two inputs and two outputs, called otherwise in the files than in the task:
total = left + right, scores = relu(left @ WEIGHTS + BIAS). `wide` is large enough to be quantised.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np

from edge_agent.runtimes import registry
from protocol.bundles import Binding, RuntimePin, Task, Variant, digest_key, estimate
from protocol.types import Axes, Profile

HERE = Path(__file__).parent

WEIGHTS = np.array([[1, 0, 2], [0, 1, -1], [3, 0, 1], [0, -2, 1]], np.float32)
BIAS = np.array([0.5, 0.25, -1], np.float32)


def axes(name, *shape, datatype="FP32"):
    return Axes(name=name, datatype=datatype, shape=shape)


BLEND = Task(
    name="blend",
    inputs=(axes("left", -1, 4), axes("right", -1, 4)),
    outputs=(axes("scores", -1, 3), axes("total", -1, 4)),
)
WIDE = Task(name="wide", inputs=(axes("x", -1, 64),), outputs=(axes("scores", -1, 10),))

# The files' own names.
NAMES = {"left": "a", "right": "b", "scores": "out", "total": "sum", "x": "args_0"}
TFLITE_NAMES = NAMES | {"left": "args_0", "right": "args_1"}


def a_variant(task, form, data, **changes):
    """A variant of `task` whose file has these bytes; its runtime is the one that is here."""
    names = TFLITE_NAMES if form == "tflite" else NAMES

    def bindings(tensors):
        return {t.name: Binding(name=names[t.name], datatype=t.datatype) for t in tensors}

    here = registry.available().get(form)
    fields = {
        "id": f"{task.name}-{form}",
        "architecture": task.name,
        "format": form,
        "precision": "fp32",
        "file": f"{task.name}.{form}",
        "digest": digest_key(sha256(data).hexdigest()),
        "size_bytes": len(data),
        "accuracy": 0.9,
        "inputs": bindings(task.inputs),
        "outputs": bindings(task.outputs),
        "runtimes": (here or RuntimePin(name="table", version="0"),),
        "profile": Profile(load_ms=1, memory_bytes=1, runs={1: estimate(1.0)}),
    }
    return Variant.model_validate(fields | changes)


def some_inputs(rows, seed=1):
    spread = np.random.default_rng(seed)
    return {name: spread.uniform(-2, 2, (rows, 4)).astype(np.float32) for name in ("left", "right")}


def expected(inputs):
    return {
        "total": inputs["left"] + inputs["right"],
        "scores": np.maximum(inputs["left"] @ WEIGHTS + BIAS, 0),
    }
