"""Pure. What is left to say when nothing is ranked: who is late, how late, and how accurate."""

from dataclasses import replace
from math import inf

import numpy as np

from middle_tier.scheduler import filters
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.pick import Look
from middle_tier.scheduler.ranking import AHEAD, Scored, bound_ms, candidate_of, merit, score
from middle_tier.scheduler.types import Candidate, Demand, Policy

LATE_AHEAD = 8
"""Groups whose members are looked at for a fallback."""


def fallbacks(demand: Demand, groups: Groups, policy: Policy, look: Look) -> tuple[Candidate, ...]:
    """Return the fastest of what is permitted, accurate and affordable, if the policy says so."""
    if policy.on_miss != "fastest":
        return ()
    scored = score(demand, groups, policy, look, whole=True)
    finish, turn = scored.finish_ms, scored.lens.ground.turn[scored.those]
    places = np.isfinite(finish).nonzero()[0]
    dear = filters.too_dear(scored.kind.cost_usd[scored.those].take(places), demand)
    if dear is not None:
        places = places[~dear]
    fastest = np.lexsort((turn.take(places), finish.take(places)))[:LATE_AHEAD]
    at_last = replace(look, latest_ms=np.inf)
    found: list[Candidate] = []
    for place in places.take(fastest).tolist():
        paid = scored.cost_usd(place), scored.kind.worth_usd.item(scored.those.start + place)
        candidate = candidate_of(at_last, scored, place, paid)
        if isinstance(candidate, Candidate):
            found.append(candidate)
    found.sort(key=lambda candidate: (candidate.finish_ms, merit(candidate)))
    return tuple(found[:AHEAD])


def fastest_ms(groups: Groups, look: Look, scored: Scored) -> float | None:
    """Return the earliest finish at the want's accuracy, whatever the budget."""
    finish, middle = scored.finish_ms, scored.lens.ground.middle
    earliest: float = finish.item(finish.argmin()) if len(finish) else inf
    if not scored.warm and scored.size and groups.least_load_ms() < earliest:
        left_out = slice(middle - scored.size, middle)
        cold = bound_ms(groups, scored.lens, scored.kind, look.now_ms, left_out)
        earliest = min(earliest, cold.item(cold.argmin()))
    return earliest if earliest < inf else None


def cheapest_usd(look: Look, scored: Scored) -> float | None:
    """Return what the cheapest costs that is accurate enough and in time, affordable or not."""
    if not scored.within:
        return None
    in_time = scored.finish_ms <= look.latest_ms
    least: float = scored.kind.cost_usd[scored.those][in_time].min().item()
    return least


def best_accuracy(groups: Groups, look: Look, scored: Scored) -> float | None:
    """Return the best accuracy to be had within the budget, whatever the want's."""
    ground, size = scored.lens.ground, scored.size
    accuracy, middle = ground.facts.accuracy, ground.middle
    if scored.within:
        best: float = accuracy[scored.those][scored.finish_ms <= look.latest_ms].max().item()
        return best
    if size == middle:
        return None
    best = -inf
    for those, first in ((slice(middle + size, 2 * middle), 1), (slice(0, middle - size), -1)):
        if first < 0 and groups.least_load_ms() > look.latest_ms:
            break
        fits = (
            bound_ms(groups, scored.lens, scored.kind, look.now_ms, those)[::first]
            <= look.latest_ms
        )
        at = fits.argmax()
        if fits.item(at):
            best = max(best, accuracy[those][::first].item(at))
    return best if best > -inf else None
