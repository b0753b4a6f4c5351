"""Pure. What a site could do for a query from below: the earliest finish, by accuracy.

So that a query whose tensors would cross a link for nothing stays where it is (`uplink.Parent`).
"""

from collections.abc import Iterable
from math import inf

from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.pressed import alone_ms
from middle_tier.scheduler.ranking import look_at, score
from middle_tier.scheduler.types import Demand, Policy
from protocol.messages import Reach, Want
from protocol.types import QUANTILES, Latency

MOST_MS = 1e9
"""What is later than this (eleven days) is nothing to speak of."""

LINES = 32
"""Lines for one task; of more, every so many."""


def reach(
    groups: Groups, policy: Policy, *, now: float, hops: tuple[str, ...] = ()
) -> tuple[Reach, ...]:
    """Return what is left of a task's groups when each is dropped that another beats.

    What lies in one of the sites `hops` is left out: a query that has passed it does not go back.
    """
    columns: list[list[float]] = []
    alone: list[list[float]] = []
    accuracy: list[float] = []
    for percentile in QUANTILES:
        want = Want(task=groups.task, latency_ms=MOST_MS, percentile=percentile)
        demand = Demand(want, MOST_MS, hops=hops)
        scored = score(demand, groups, policy, look_at(demand, groups, policy, now=now, seed=0))
        order = scored.lens.ground.turn[scored.those].argsort()
        columns.append(scored.finish_ms[order].tolist())
        alone.append(alone_ms(scored)[order].tolist())
        accuracy = scored.lens.ground.facts.accuracy[scored.those][order].tolist()
    first = _first(accuracy, zip(*alone, strict=True))
    lines = [
        Reach(
            task=groups.task, accuracy=share, finish=Latency(ms=_rising(each)),
            alone=Latency(ms=_rising(first[share])),
        )
        for share, each in _front(accuracy, zip(*columns, strict=True))
    ]  # fmt: skip
    step = max(1, -(-len(lines) // LINES))
    return tuple(lines[::-1][::step][::-1])


def _front(
    accuracy: list[float], finish: Iterable[tuple[float, ...]]
) -> list[tuple[float, list[float]]]:
    """Walk from the most accurate down; keep what is earlier, at any quantile, than all before."""
    best = [inf] * len(QUANTILES)
    found: list[tuple[float, list[float]]] = []
    for share, each in zip(accuracy, finish, strict=True):
        if all(ms >= known for ms, known in zip(each, best, strict=True)) or each[-1] > MOST_MS:
            continue
        best = [min(ms, known) for ms, known in zip(each, best, strict=True)]
        if found and found[-1][0] == share:
            found.pop()
        found.append((share, best))
    return found


def _first(accuracy: list[float], alone: Iterable[tuple[float, ...]]) -> dict[float, list[float]]:
    """Return the earliest that each accuracy or better could be had if nobody waited."""
    best = [MOST_MS] * len(QUANTILES)
    found: dict[float, list[float]] = {}
    for share, each in zip(accuracy, alone, strict=True):
        best = [min(ms, known) for ms, known in zip(each, best, strict=True)]
        found[share] = best
    return found


def _rising(ms: list[float]) -> tuple[float, ...]:
    """Return it so that a higher quantile is never earlier: rounding must not make it so."""
    risen, least = [], 0.0
    for each in ms:
        least = max(least, each)
        risen.append(least)
    return tuple(risen)
