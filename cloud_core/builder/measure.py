"""From a model file to a measured variant: quality, profile, golden outputs, good runtimes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from cloud_core.builder.exported import Exported
from cloud_core.builder.probe import Probed, Question, ask
from cloud_core.builder.recipe import Validation
from edge_agent.runtimes.base import Array, Tensors
from protocol.bundles import RuntimePin, Task, Variant, digest_key, estimate
from protocol.errors import ExecutionError
from protocol.types import Profile

LEAST_TOLERANCE = 1e-3
TOLERANCE = {"fp32": 1e-3, "int8": 0.03}
"""By precision, of the spread of the golden outputs. Processors differ: in the order of a sum, GPUs
in the mantissa (TF32), and in a few steps of 1/255."""
SAME_QUALITY = 0.01
"""How far a second runtime's quality may be from the first's."""

CLOSE_ENOUGH = 0.05
"""Relative distance from the full-precision outputs up to which a static file is taken."""

GOLDEN, HELD_OUT, CALIBRATION = "golden", "held-out", "calibration"


@dataclass(frozen=True)
class Measured:
    """A variant, ready to go into a bundle."""

    variant: Variant
    path: Path
    outputs: Mapping[str, Tensors]
    """What it answered, by the name of the input set."""

    @property
    def golden(self) -> Tensors:
        return self.outputs[GOLDEN]


@dataclass(frozen=True)
class Bench:
    """Where and with what variants are measured."""

    task: Task
    validation: Validation
    python: Path
    """The interpreter of the builder's environment."""
    tflite_python: Path | None = None
    """One with tflite_runtime: LiteRT variants are tried there as well."""
    budget_s: float = 2.0
    """How long to measure a variant's run times."""

    @property
    def inputs(self) -> dict[str, Tensors]:
        """The three sets of rows."""
        held_out = self.validation.inputs
        golden = {name: array[: self.validation.golden_rows] for name, array in held_out.items()}
        return {GOLDEN: golden, HELD_OUT: held_out, CALIBRATION: self.validation.calibration}

    def measured(self, draft: Variant, path: Path) -> Measured:
        """Run it on all rows in its own runtime. Raises `ExecutionError`."""
        question = Question(
            task=self.task, variant=draft, file=path,
            sets=(GOLDEN, HELD_OUT, CALIBRATION), budget_s=self.budget_s,
        )  # fmt: skip
        probed = ask(question, self.inputs, self.python)
        quality = self.validation.quality(probed.outputs[HELD_OUT])
        variant = draft.model_copy(
            update={
                "accuracy": round(min(max(quality, 0.0), 1.0), 4),
                "runtimes": (probed.runtime,),
                "tolerance": tolerance(draft.precision, probed.outputs[GOLDEN]),
                "profile": probed.profile,
            }
        )
        return Measured(variant, path, probed.outputs)

    def on_tflite(self, measured: Measured) -> Measured:
        """List `tflite_runtime` too, if it answers alike there; `ExecutionError` if it does not."""
        if self.tflite_python is None or measured.variant.format != "tflite":
            return measured
        question = Question(
            task=self.task, variant=measured.variant, file=measured.path,
            sets=(GOLDEN, HELD_OUT), budget_s=0.0,
        )  # fmt: skip
        probed = ask(question, self.inputs, self.tflite_python)
        self._same(measured, probed)
        pins = (*measured.variant.runtimes, probed.runtime)
        return replace(measured, variant=measured.variant.model_copy(update={"runtimes": pins}))

    def _same(self, measured: Measured, probed: Probed) -> None:
        variant, name = measured.variant, probed.runtime.name
        far = furthest(probed.outputs[GOLDEN], measured.golden)
        if not far <= variant.tolerance:  # also when it is not a number
            raise ExecutionError(
                f"golden outputs are off by {far:.3g} on {name}, permitted {variant.tolerance:.3g}"
            )
        quality = self.validation.quality(probed.outputs[HELD_OUT])
        if not abs(quality - variant.accuracy) <= SAME_QUALITY:
            raise ExecutionError(f"quality is {quality:.4f} on {name}, not {variant.accuracy:.4f}")


def drafted(exported: Exported, *, architecture: str, precision: str, max_batch: int) -> Variant:
    """Describe a file of which nothing has been measured yet."""
    data = exported.path.read_bytes()
    name = f"{architecture}.{exported.format}-{precision}"
    return Variant(
        id=name,
        architecture=architecture,
        format=exported.format,
        precision=precision,
        file=f"{name}.{exported.format}",
        digest=digest_key(sha256(data).hexdigest()),
        size_bytes=len(data),
        accuracy=0.0,
        batches=exported.batches,
        max_batch=exported.batches[-1] if exported.batches else max_batch,
        inputs=exported.inputs,
        outputs=exported.outputs,
        runtimes=(RuntimePin(name="table", version="unmeasured"),),
        profile=Profile(load_ms=0.0, memory_bytes=0, runs={1: estimate(0.0)}),
    )


def tolerance(precision: str, golden: Tensors) -> float:
    """How far from its golden outputs a variant of this precision may be, on another processor."""
    spread = max(float(np.ptp(array)) for array in golden.values())
    return float(f"{max(TOLERANCE[precision] * spread, LEAST_TOLERANCE):.2g}")


def furthest(outputs: Tensors, golden: Tensors) -> float:
    """Largest absolute difference."""
    return max(float(np.abs(outputs[name] - array).max()) for name, array in golden.items())


def distance(outputs: Tensors, reference: Tensors) -> float:
    """How far outputs are from the full-precision ones, relative to their size: the farthest."""
    return max(_relative(outputs[name], array) for name, array in reference.items())


def closest(distances: Mapping[str, float]) -> str:
    """Return which candidate to keep: the first that is close enough, else the closest."""
    near = (name for name, far in distances.items() if far <= CLOSE_ENOUGH)
    return next(near, min(distances, key=distances.__getitem__))


def _relative(array: Array, reference: Array) -> float:
    return float(np.linalg.norm(array - reference) / (np.linalg.norm(reference) or 1.0))
