"""What a simulation has shown, by policy: the figures of `--json`, and the same over time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cloud_core.simulator.ledger import BUCKETS, Ledger
from cloud_core.simulator.records import ANSWERED, EPSILON_S, REFUSED, Records
from cloud_core.simulator.scenario import TIERS, Scenario
from cloud_core.simulator.traces import Arrivals

STEADY_FROM = 0.1
"""Share of the duration after which a run counts as steady: all is cold when it begins."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy's, as DESIGN 4.4 names them; accuracies in the metric's unit (percent)."""

    queries: int
    answered: int
    met: int
    violations: int
    violation_pct: float
    steady_violation_pct: float
    refused: int
    mean_accuracy: float
    below_accuracy_pct: float
    cost_usd: float
    cost_by_tier: dict[str, float]
    energy_wh: float
    tier_share: dict[str, float]
    cold_starts: int
    decision_us: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def decided_us(self, quantile: str) -> str:
        """Return `decision_us` for people: a bound decides nothing, which takes no time."""
        us = self.decision_us[quantile]
        return f"{us:g}" if us else "-"


@dataclass(frozen=True, slots=True)
class OverTime:
    """Equally long columns: parts of the run."""

    at_s: list[float]
    attainment: list[float | None]
    accuracy: list[float | None]
    usd: list[float]
    shares: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one policy."""

    figures: Figures
    over_time: OverTime
    wall_s: float
    met: npt.NDArray[np.bool_] = field(repr=False)
    """By query: whether its want was met."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """All of them, by name."""

    scenario: str
    seed: int
    wall_s: float
    policies: dict[str, Outcome]
    notes: tuple[str, ...] = ()
    """What was decided about the data."""

    @property
    def queries_per_s(self) -> float:
        """Of wall time and policy."""
        simulated = [one for name, one in self.policies.items() if name != "oracle"]
        wall_s = sum(one.wall_s for one in simulated or self.policies.values())
        queries = sum(one.figures.queries for one in simulated or self.policies.values())
        return queries / wall_s if wall_s > 0 else 0.0

    def document(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "wall_s": round(self.wall_s, 3),
            "simulated_queries_per_s": round(self.queries_per_s, 1),
            "policies": {name: one.figures.as_dict() for name, one in self.policies.items()},
        }


def outcome(
    scenario: Scenario,
    arrivals: Arrivals,
    records: Records,
    ledger: Ledger,
    *,
    cold_starts: int,
    spent: tuple[list[int], float],
) -> Outcome:
    """Return what came of a run; `spent` is nanoseconds of each decision, and seconds in all."""
    met = met_of(scenario, arrivals, records)
    answered = records.outcome == ANSWERED
    size, many = len(met), int(answered.sum())
    violated = ~met
    steady = violated[arrivals.at_s >= STEADY_FROM * scenario.duration_s]
    least = np.array([want.min_accuracy for want in scenario.wants])[arrivals.want]
    below = answered & (records.accuracy * 100.0 < least - 1e-9)
    tiers: dict[str, float] = {
        tier: _share(int((records.tier[answered] == at).sum()), many)
        for at, tier in enumerate(TIERS)
    }
    decisions = np.array(spent[0] or [0]) / 1e3
    figures = Figures(
        queries=size,
        answered=many,
        met=int(met.sum()),
        violations=int(violated.sum()),
        violation_pct=100.0 * _share(int(violated.sum()), size),
        steady_violation_pct=100.0 * _share(int(steady.sum()), len(steady)),
        refused=int((records.outcome == REFUSED).sum()),
        mean_accuracy=100.0 * float(records.accuracy[answered].mean()) if many else 0.0,
        below_accuracy_pct=100.0 * _share(int(below.sum()), many),
        cost_usd=ledger.usd,
        cost_by_tier=dict(ledger.usd_by_tier()),
        energy_wh=ledger.wh,
        tier_share=tiers,
        cold_starts=cold_starts,
        decision_us={
            f"p{at}": round(float(np.percentile(decisions, at)), 1) for at in (50, 99)
        },
    )  # fmt: skip
    return Outcome(
        figures, over_time(scenario, arrivals, records, ledger.over_time, met), spent[1], met
    )


def met_of(scenario: Scenario, arrivals: Arrivals, records: Records) -> npt.NDArray[np.bool_]:
    """Return for each query whether it was answered in time and accurately enough."""
    latency_s = np.array([want.latency_ms for want in scenario.wants])[arrivals.want] / 1e3
    least = np.array([want.min_accuracy for want in scenario.wants])[arrivals.want] / 100.0
    in_time = records.latency_s <= latency_s + EPSILON_S
    met: npt.NDArray[np.bool_] = (
        (records.outcome == ANSWERED) & in_time & (records.accuracy >= least - EPSILON_S)
    )
    return met


def over_time(
    scenario: Scenario,
    arrivals: Arrivals,
    records: Records,
    usd: Floats,
    met: npt.NDArray[np.bool_],
) -> OverTime:
    part_s = scenario.duration_s / BUCKETS
    part = np.minimum(BUCKETS - 1, (arrivals.at_s / part_s).astype(np.int64))
    answered = records.outcome == ANSWERED
    queries = np.bincount(part, minlength=BUCKETS)
    many = np.bincount(part[answered], minlength=BUCKETS)
    accuracy = np.bincount(part, records.accuracy * answered, BUCKETS)
    good = np.bincount(part, met, BUCKETS)
    shares: dict[str, list[float]] = {
        tier: (
            np.bincount(part[answered & (records.tier == at)], minlength=BUCKETS)
            / np.maximum(1, many)
        ).tolist()
        for at, tier in enumerate(TIERS)
    }
    return OverTime(
        [part_s * at for at in range(BUCKETS)],
        [g / q if q else None for g, q in zip(good.tolist(), queries.tolist(), strict=True)],
        [
            100.0 * a / m if m else None
            for a, m in zip(accuracy.tolist(), many.tolist(), strict=True)
        ],
        usd.tolist(),
        shares,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
