"""Counts of what this gate has done since it started: plain numbers, gathered when asked for.

By task and tier for operators (`metrics`), by variant for OIP's statistics, by tenant for usage.
Nothing is kept across a restart, and no payload and no request id is ever counted by.
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from middle_tier.usage.batch import Used
from protocol.errors import DeadlineError, MeshError, NoCandidateError, OverBudgetError
from protocol.messages import Answer, Query

Outcome = Literal[
    "met", "late", "refused", "deadline", "invalid", "failed", "cancelled", "over_budget"
]

BUCKETS_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Upper bounds of the latency histogram."""

_INTERNAL = 500

AT_ONCE = 64
"""Answers are added up when so many have come, or somebody looks: together it is cheaper."""

KEPT = 64
"""Decisions that are remembered, for people who watch."""

REMEMBERED = 4096
"""Queries that are remembered, as what was wanted and when: for what-if."""

Asked = tuple[float, Query]
"""When it came, by the gate's clock; and the query, in which there are no tensors' bytes."""

Decided = tuple[str, str, Answer, float, bool]
"""Tenant, task, the answer (its tensors are not in it), how long it took, whether all was met."""


@dataclass(slots=True)
class Served:
    """Answers, added up."""

    answers: int = 0
    rows: int = 0
    cold: int = 0
    elapsed_ms: float = 0.0
    run_ms: float = 0.0
    cost_usd: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))

    def add(self, answer: Answer, rows: int, elapsed_ms: float) -> None:
        self.answers += 1
        self.rows += rows
        self.cold += answer.cold
        self.elapsed_ms += elapsed_ms
        self.run_ms += answer.run_ms
        self.cost_usd += answer.cost_usd
        self.buckets[bisect_left(BUCKETS_MS, elapsed_ms)] += 1

    def join(self, other: "Served") -> None:
        """Add what another has counted."""
        for name in ("answers", "rows", "cold", "elapsed_ms", "run_ms", "cost_usd"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]


@dataclass(slots=True)
class Usage:
    """What one tenant has used."""

    queries: int = 0
    answered: int = 0
    met: int = 0
    rows: int = 0
    cost_usd: float = 0.0


class Tally:
    """Everything that is counted."""

    def __init__(self, started: float) -> None:
        self.started = started
        """Seconds since the epoch."""
        self._outcomes: defaultdict[tuple[str, str, Outcome], int] = defaultdict(int)
        self._served: defaultdict[tuple[str, str, str], Served] = defaultdict(Served)
        self._usage: defaultdict[str, Usage] = defaultdict(Usage)
        self._recent: deque[Decided] = deque(maxlen=KEPT)
        self._fresh: list[tuple[Decided, int]] = []
        """Not added up yet; and the rows of each."""
        self.asked: deque[Asked] = deque(maxlen=REMEMBERED)
        """The last queries that were no mistake, in the order in which they ended."""

    def __repr__(self) -> str:
        return f"<Tally {sum(self.outcomes.values())} queries, {len(self._usage)} tenants>"

    def answered(
        self, tenant: str, task: str, answer: Answer, *, rows: int, elapsed_ms: float, met: bool
    ) -> None:
        self._fresh.append(((tenant, task, answer, elapsed_ms, met), rows))
        if len(self._fresh) >= AT_ONCE:
            self._add_up()

    def _add_up(self) -> None:
        fresh, self._fresh = self._fresh, []
        for decided, rows in fresh:
            tenant, task, answer, elapsed_ms, met = decided
            self._outcomes[task, answer.tier, "met" if met else "late"] += 1
            self._served[task, answer.tier, answer.variant].add(answer, rows, elapsed_ms)
            usage = self._usage[tenant]
            usage.queries += 1
            usage.answered += 1
            usage.met += met
            usage.rows += rows
            usage.cost_usd += answer.cost_usd
        self._recent.extend(decided for decided, _ in fresh[-KEPT:])

    @property
    def outcomes(self) -> Mapping[tuple[str, str, Outcome], int]:
        """By task (empty: none that exists), tier (empty: none answered) and outcome."""
        self._add_up()
        return self._outcomes

    @property
    def recent(self) -> Sequence[Decided]:
        """The last decisions, the newest last."""
        self._add_up()
        return self._recent

    def used(self) -> dict[str, Used]:
        """What each tenant has used since the start."""
        self._add_up()
        return {
            tenant: Used(one.queries, one.answered, one.met, one.rows, one.cost_usd)
            for tenant, one in self._usage.items()
        }

    def by_tier(self) -> dict[tuple[str, str], Served]:
        """What was served, by task and tier."""
        return self._summed(lambda task, tier, _: (task, tier))

    def by_variant(self) -> dict[tuple[str, str], Served]:
        """What was served, by task and variant."""
        return self._summed(lambda task, _, variant: (task, variant))

    def _summed(
        self, key: Callable[[str, str, str], tuple[str, str]]
    ) -> dict[tuple[str, str], Served]:
        self._add_up()
        sums: defaultdict[tuple[str, str], Served] = defaultdict(Served)
        for place, served in self._served.items():
            sums[key(*place)].join(served)
        return sums

    def failed(self, tenant: str | None, task: str, outcome: Outcome) -> None:
        """Count a query that was not answered; `tenant` is None before it was known."""
        self._outcomes[task, "", outcome] += 1
        if tenant is not None and outcome != "invalid":
            self._usage[tenant].queries += 1


def outcome_of(error: MeshError) -> Outcome:
    """How a failed query is counted."""
    if isinstance(error, DeadlineError):
        return "deadline"
    if isinstance(error, NoCandidateError):
        return "refused"
    if isinstance(error, OverBudgetError):
        return "over_budget"
    return "invalid" if error.status < _INTERNAL else "failed"
