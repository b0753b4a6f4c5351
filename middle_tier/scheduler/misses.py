"""Pure. What is left to say when nothing is ranked: who is late, how late, and how accurate."""

from dataclasses import replace
from math import inf

import numpy as np

from middle_tier.scheduler import filters
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.pick import Look
from middle_tier.scheduler.ranking import AHEAD, Scored, bound_ms, candidate_of, merit, priced
from middle_tier.scheduler.types import Candidate, Demand, Policy

LATE_AHEAD = 8
"""Groups whose members are looked at for a fallback."""


def fallbacks(look: Look, demand: Demand, scored: Scored, policy: Policy) -> tuple[Candidate, ...]:
    """Return the fastest of what is permitted, accurate and affordable, if the policy says so."""
    if policy.on_miss != "fastest":
        return ()
    places = np.flatnonzero(np.isfinite(scored.finish_ms))
    cost, worth = priced(look, scored.lens, scored.timing, scored.now, places)
    over = filters.too_dear(cost, demand)
    if over is not None:
        places, cost, worth = places[~over], cost[~over], worth[~over]
    at_last = replace(look, latest_ms=np.inf)
    fastest = np.argsort(scored.finish_ms[places], kind="stable")[:LATE_AHEAD]
    found = [
        candidate
        for at in fastest.tolist()
        if isinstance(
            candidate := candidate_of(
                at_last, scored, places.item(at), (cost.item(at), worth.item(at))
            ),
            Candidate,
        )
    ]
    found.sort(key=lambda candidate: (candidate.finish_ms, merit(candidate)))
    return tuple(found[:AHEAD])


def fastest_ms(scored: Scored) -> float | None:
    """Return the earliest finish at the want's accuracy, whatever the budget."""
    if not scored.size:
        return None
    finish = scored.finish_ms
    earliest: float = finish.item(finish.argmin())
    return earliest if earliest < inf else None


def best_accuracy(groups: Groups, look: Look, scored: Scored) -> float | None:
    """Return the best accuracy to be had within the budget, whatever the want's."""
    accuracy, place = scored.lens.ground.facts.accuracy, scored.size
    if scored.within:
        return accuracy.item((scored.finish_ms <= look.latest_ms).argmax())
    if place == len(accuracy):
        return None
    those = slice(place, len(accuracy))
    fits = bound_ms(groups, scored.lens, scored.timing, look, those) <= look.latest_ms
    place += int(fits.argmax())
    return accuracy.item(place) if fits.any() else None
