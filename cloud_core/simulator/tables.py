"""The data files of profiles, as what each fleet can run: variants with run times by batch.

How each oddity of the files is resolved is said here, and in the report where it matters.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from cloud_core.simulator.scenario import Fleet, Metric, Override, Scenario, TaskPart
from protocol.adverts import VariantInfo
from protocol.errors import BadRequestError
from protocol.types import QUANTILES, Latency, Profile

TOP1 = (1.0, 91.0)
"""Figures outside are suspect and left out."""

BATCHES = (1, 8, 32)
"""Batch sizes of a variant whose throughput in batches is known, and better than one by one."""

GAIN = 0.95
"""... at most this share of the time of one alone, for each row of a batch."""

_ACCELERATORS = re.compile(r"(?<=[A-Za-z0-9])x(\d{1,2})(?=[_-]|$)")
_GIVEN = (("p50_ms", 50.0), ("p90_ms", 90.0), ("p95_ms", 95.0), ("p99_ms", 99.0))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a data file, as far as it matters."""

    system: str
    model: str
    latency: Latency | None
    """Of one row alone."""
    samples_per_s: float | None
    """In batches, of one accelerator."""
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Kit:
    """What the nodes of a fleet can run, and what was decided about its data."""

    infos: tuple[VariantInfo, ...]
    notes: tuple[str, ...]


def rows(path: Path) -> list[Row]:
    """Read a data file of any of the known layouts; raise `BadRequestError` where it is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            names = set(reader.fieldnames or ())
            if "model" not in names or not names & {"system", "device"}:
                raise BadRequestError(
                    f"{path}: no columns `system` (or `device`) and `model` in its first line",
                    "profiles are CSV files with a header",
                )
            return [_row(line, path, at) for at, line in enumerate(reader, 2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadRequestError(f"{path}: cannot be read: {why}", "mend `profiles`") from error


def _row(line: dict[str, str], path: Path, at: int) -> Row:
    try:
        figures = {
            name: float(text)
            for name, text in line.items()
            if text
            and name not in ("system", "device", "model", "scenario", "submitter", "version")
        }
    except (TypeError, ValueError) as error:
        raise BadRequestError(f"{path}:{at}: {error}", "mend the number there") from error
    system = line.get("system") or line.get("device") or ""
    scenario = (line.get("scenario") or "").lower()
    sps = figures.get("offline_sps") if not scenario else figures.get("samples_per_s")
    accelerators = _ACCELERATORS.search(system)
    shared = max(1, int(accelerators[1])) if accelerators else 1
    return Row(
        system,
        line["model"],
        _latency(figures) if scenario in ("", "singlestream") else None,
        sps / shared if sps and scenario in ("", "offline") else None,
        {name: figures[name] for name in ("top1_pct", "f1", "mAP") if name in figures},
    )


def _latency(figures: dict[str, float]) -> Latency | None:
    """Return the distribution, log-linear between the given quantiles; None without a median."""
    given = [(figures[name], at) for name, at in _GIVEN if figures.get(name)]
    if not given or given[0][1] != QUANTILES[0]:
        return None
    ms, floor = [], 0.0
    for wanted in QUANTILES:
        floor = max(floor, _between(given, wanted))
        ms.append(floor)
    return Latency.model_validate({"ms": ms, "count": 1})


def _between(given: Sequence[tuple[float, float]], wanted: float) -> float:
    """As `protocol.types.Latency.at`, between whichever quantiles there are."""
    below = [one for one in given if one[1] <= wanted][-1]
    above = [one for one in given if one[1] > wanted]
    if not above or below[1] == wanted:
        return below[0]
    share = (wanted - below[1]) / (above[0][1] - below[1])
    return float(below[0] * (above[0][0] / below[0]) ** share)


def kits(scenario: Scenario) -> dict[str, Kit]:
    """Return what each fleet can run, by its name."""
    known = [row for path in scenario.profiles for row in rows(scenario.at(path))]
    return {fleet.name: _kit(scenario, fleet, known) for fleet in scenario.fleets}


def _kit(scenario: Scenario, fleet: Fleet, known: Iterable[Row]) -> Kit:
    mine = [row for row in known if fnmatchcase(row.system, fleet.system)]
    if not mine:
        raise BadRequestError(
            f"fleets: {fleet.name}: no profile is of a system like {fleet.system!r}",
            "it is a glob on the column `system`; see the files in `profiles`",
        )
    infos: list[VariantInfo] = []
    notes: list[str] = []
    for name, task in scenario.tasks.items():
        found, said = _infos(name, task, fleet, mine)
        infos += found
        notes += said
    if not infos:
        raise BadRequestError(
            f"fleets: {fleet.name}: no profile of {fleet.system!r} has a latency (SingleStream) and"
            " an accuracy",
            "give `accuracy` under the task's `variants` where the files have none",
        )
    return Kit(tuple(infos), tuple(notes))


def _infos(
    name: str, task: TaskPart, fleet: Fleet, mine: Sequence[Row]
) -> tuple[list[VariantInfo], list[str]]:
    by_model: dict[str, list[Row]] = {}
    for row in mine:
        by_model.setdefault(row.model, []).append(row)
    infos, notes = [], []
    for model, alike in sorted(by_model.items()):
        over = _override(task, model)
        usable = [
            (row.latency.ms[0], row.system, accuracy, row.latency)
            for row in alike
            if row.latency is not None and (accuracy := _accuracy(row, task.metric, over))
        ]
        suspect = sum(_suspect(row, task.metric) for row in alike)
        if suspect:
            notes.append(f"{fleet.name}: {model}: {suspect} suspect figures of top-1 left out")
        if not usable:
            continue
        p50, system, accuracy, latency = min(usable, key=lambda one: one[:2])
        if len(usable) > 1:
            notes.append(
                f"{fleet.name}: {model}: {len(usable)} rows match, the lowest p50 is taken:"
                f" {p50:g} ms ({system})"
            )
        runs = _runs(latency, _samples_per_s(alike, system))
        infos.append(_info(name, model, accuracy, over, runs))
    return infos, notes


def _override(task: TaskPart, model: str) -> Override:
    fields: dict[str, float] = {"memory_mb": task.memory_mb, "load_ms": task.load_ms}
    for pattern, one in task.variants.items():
        if fnmatchcase(model, pattern):
            fields |= one.model_dump(exclude_none=True)
    return Override.model_validate(fields)


def _suspect(row: Row, metric: Metric) -> bool:
    value = row.metrics.get(metric)
    return metric == "top1_pct" and value is not None and not TOP1[0] <= value <= TOP1[1]


def _accuracy(row: Row, metric: Metric, over: Override) -> float | None:
    """In the metric's unit: the file's figure, unless it is suspect; else the scenario's."""
    value = row.metrics.get(metric)
    return over.accuracy if value is None or _suspect(row, metric) else value


def _samples_per_s(alike: Sequence[Row], system: str) -> float | None:
    """Throughput in batches: of the system whose latency is taken, else of another alike."""
    figures = [(row.system == system, row.samples_per_s) for row in alike if row.samples_per_s]
    return max(figures)[1] if figures else None


def _runs(alone: Latency, samples_per_s: float | None) -> dict[int, Latency]:
    """Run times by batch: one alone as measured, each further row what batches show it to add."""
    if samples_per_s is None:
        return {1: alone}
    each_ms = 1000.0 / samples_per_s
    if each_ms > GAIN * alone.ms[0]:
        return {1: alone}
    return {
        size: Latency.model_validate({"ms": [ms + (size - 1) * each_ms for ms in alone.ms]})
        for size in BATCHES
    }


def _info(
    task: str, model: str, accuracy: float, over: Override, runs: dict[int, Latency]
) -> VariantInfo:
    memory = int((over.memory_mb or 0.0) * 1e6)
    profile = Profile(load_ms=over.load_ms or 0.0, memory_bytes=memory, runs=runs, measured=True)
    return VariantInfo(
        variant=re.sub(r"[^A-Za-z0-9._-]", "-", model)[:128],
        task=task,
        architecture=re.sub(r"[^A-Za-z0-9._-]", "-", model)[:128],
        format="table",
        precision="as-measured",
        accuracy=min(1.0, accuracy / 100.0),
        max_batch=max(runs),
        size_bytes=memory,
        profile=profile,
    )
