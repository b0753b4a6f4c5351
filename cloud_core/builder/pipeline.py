"""Export, shrink, measure, package: the order, nothing else.

A variant that fails is reported and does not lose the others.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloud_core.builder import export, quantize
from cloud_core.builder.exported import Exported
from cloud_core.builder.measure import (
    CALIBRATION,
    GOLDEN,
    Bench,
    Measured,
    closest,
    distance,
    drafted,
)
from cloud_core.builder.package import bundle, bundle_name
from cloud_core.builder.recipe import PARTS, Architecture, Form, Kind, Recipe
from protocol.bundles import Manifest
from protocol.errors import ExecutionError

log = logging.getLogger(__name__)

Report = Callable[[str, Mapping[str, object]], None]
"""Takes what happened, in one word, and its fields."""

_EXPORT: Mapping[Kind, Callable[..., Exported]] = {
    "onnx": export.to_onnx,
    "tflite": export.to_tflite,
    "pt2": export.to_pt2,
}


@dataclass(frozen=True)
class Outcome:
    """What came of a build."""

    built: dict[Path, Manifest] = field(default_factory=dict)
    """By the bundle's folder."""
    failed: dict[str, str] = field(default_factory=dict)
    """Variant id -> why it is in no bundle."""


def build(recipe: Recipe, bench: Bench, *, work: Path, out: Path, report: Report) -> Outcome:
    """Build a bundle of every architecture, below `out`; `work` is for what is not kept."""
    outcome = Outcome()
    report("training", {"task": recipe.task.name})
    for architecture in recipe.architectures():
        line = Line(architecture, bench, work, report)
        made = list(line.variants(outcome.failed))
        if made:
            name = bundle_name(recipe.task.name, architecture.name)
            folder, manifest = bundle(name, recipe.task, bench.inputs[GOLDEN], made, out=out)
            outcome.built[folder] = manifest
            report("bundle", {"bundle": name, "folder": str(folder), "variants": len(made)})
    return outcome


class Line:
    """One architecture on its way through export, quantize and measure."""

    def __init__(
        self, architecture: Architecture, bench: Bench, work: Path, report: Report
    ) -> None:
        self._architecture = architecture
        self._bench = bench
        self._work = work
        self._report = report
        self._whole: dict[Kind, Exported] = {}
        """Files of full precision, from which others are made."""

    def variants(self, failed: dict[str, str]) -> Iterator[Measured]:
        """Make every form; those that cannot be made go into `failed`."""
        for form in self._architecture.forms:
            name = f"{self._architecture.name}.{form}"
            self._report("building", {"variant": name})
            try:
                made = self._variant(form)
            except Exception as error:
                log.warning("%s failed", name, exc_info=True)
                failed[name] = _first_line(error)
                self._report("failed", {"variant": name, "error": failed[name]})
                continue
            self._report("built", _figures(made))
            yield made

    def _variant(self, form: Form) -> Measured:
        kind, precision = PARTS[form]
        whole = self._exported(kind)
        if precision == "fp32":
            return self._listed(self._measured(whole, precision))
        candidates = self._candidates(whole, kind)
        reference = export.answers(
            self._architecture, self._bench.task, self._bench.validation.calibration
        )
        distances = {
            way: distance(made.outputs[CALIBRATION], reference) for way, made in candidates.items()
        }
        chosen = closest(distances)
        self._report("quantized", {"way": chosen, "distances": distances})
        return self._listed(candidates[chosen])

    def _candidates(self, whole: Exported, kind: Kind) -> dict[str, Measured]:
        """Quantize each way; one that cannot be made, or does not run, is left out."""
        made: dict[str, Measured] = {}
        faults: list[str] = []
        for way, shrunk in quantize.WAYS[kind].items():
            try:
                exported = shrunk(whole, self._bench.validation.calibration)
                made[way] = self._measured(exported, "int8")
            except Exception as error:
                log.warning("%s int8 failed", way, exc_info=True)
                faults.append(f"{way}: {_first_line(error)}")
        if not made:
            raise ExecutionError("; ".join(faults))
        return made

    def _exported(self, kind: Kind) -> Exported:
        if kind not in self._whole:
            path = self._work / f"{self._architecture.name}.{kind}"
            rows = self._bench.validation.calibration
            self._whole[kind] = _EXPORT[kind](self._architecture, self._bench.task, rows, path)
        return self._whole[kind]

    def _measured(self, exported: Exported, precision: str) -> Measured:
        draft = drafted(
            exported, architecture=self._architecture.name, precision=precision,
            max_batch=self._architecture.max_batch,
        )  # fmt: skip
        return self._bench.measured(draft, exported.path)

    def _listed(self, made: Measured) -> Measured:
        """Try it on the older LiteRT runtime; a failure there only means that it is not listed."""
        try:
            return self._bench.on_tflite(made)
        except ExecutionError as error:
            self._report("not-listed", {"variant": made.variant.id, "why": error.error})
            return made


def _figures(made: Measured) -> dict[str, object]:
    variant = made.variant
    return {
        "variant": variant.id,
        "accuracy": variant.accuracy,
        "size_bytes": variant.size_bytes,
        "run_ms": round(variant.profile.run(1).at(50), 4),
        "runtimes": [f"{pin.name} {pin.version}" for pin in variant.runtimes],
    }


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
