"""Pure. The steps of a decision: filter and predict all groups at once, rank and pick a few."""

from dataclasses import replace
from math import inf
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler import filters
from middle_tier.scheduler.columns import FACTOR
from middle_tier.scheduler.cost import best_first
from middle_tier.scheduler.groups import Groups, Lens, Timing, accurate
from middle_tier.scheduler.pick import Group, Look, Predicted, best_of, opened
from middle_tier.scheduler.types import Candidate, Demand, Policy

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

AHEAD = 2
"""Candidates that a plan ranks: the best, and the next, by which a router knows how long to wait.
One that needs a third makes a new plan, with what has become known."""

LATE_AHEAD = 8
"""Groups whose members are looked at for a fallback."""

Merit = tuple[float, float, float, str, str]
_MERIT = itemgetter(0)

ALIKE = 4
"""Equally cheap groups among whose members a pick can be made again, without a new plan."""


class Scored(NamedTuple):
    """What is left of a task's groups for one demand. Places count the rows of the lens."""

    lens: Lens
    timing: Timing
    size: int
    """Places below it are accurate enough."""
    now: Floats
    """Of those, what changes all the time (`Columns.now`)."""
    finish_ms: Floats
    """Of those: never later than any (scanned) member's; infinite where there is none."""
    fits: Rows
    """Places in time and affordable ..."""
    cost_usd: Floats
    """... what each would cost ..."""
    worth_usd: Floats
    """... and what the policy would rather pay, which is their order (mostly the same)."""
    dear: Rows
    """Places in time and not affordable."""


def look_at(demand: Demand, groups: Groups, policy: Policy, *, now: float, seed: int) -> Look:
    return Look(
        groups.table,
        now * 1000.0,
        filters.limit_ms(demand, policy),
        demand.want.percentile,
        demand.in_bytes + demand.out_bytes,
        demand.rows,
        demand.tried,
        seed,
    )


def score(demand: Demand, groups: Groups, policy: Policy, look: Look) -> Scored:
    """Filter all groups of the task, and predict and price those that are left."""
    lens = groups.lens(demand, policy)
    size = accurate(lens, demand.want.min_accuracy)
    timing = groups.timing(lens, demand.rows, look.percentile)
    now = groups.now(lens, size)
    finish = _bound_ms(groups, lens, timing, now, look)
    fits = filters.in_time(finish, look.latest_ms).nonzero()[0]
    cost, worth = priced(look, lens, timing, now, fits)
    over = filters.too_dear(cost, demand)
    if over is None:
        return Scored(lens, timing, size, now, finish, fits, cost, worth, fits[:0])
    left = (~over).nonzero()[0]
    if len(left) == len(fits):
        return Scored(lens, timing, size, now, finish, fits, cost, worth, fits[:0])
    below = cost.take(left)
    ordered = below if worth is cost else worth.take(left)
    return Scored(lens, timing, size, now, finish, fits.take(left), below, ordered, fits[over])


def _bound_ms(groups: Groups, lens: Lens, timing: Timing, now: Floats, look: Look) -> Floats:
    """Return each group's earliest finish, from what its row sums up of its members.

    `admission.finish_ms`, written so that as few columns as can be are made on the way.
    """
    free, own, cold, least, _ = now
    size = len(free)
    finish: Floats = free - look.now_ms
    np.maximum(finish, own, out=finish)
    finish += cold
    finish += groups.way_ms(lens, look.percentile, look.nbytes)[:size]
    finish += timing.run_ms[:size] * least
    return finish


def priced(
    look: Look, lens: Lens, timing: Timing, now: Floats, places: Rows
) -> tuple[Floats, Floats]:
    """Return what a demand costs in each group (see `cost`), and what orders candidates.

    That is their cost, where the policy prefers nothing else: then both are one object.
    """
    factor: Floats = now[FACTOR].take(places)
    cost = timing.busy_usd.take(places)
    cost *= factor
    if lens.usd_per_byte is not None:
        cost += look.nbytes * lens.usd_per_byte.take(places)
    if not lens.prices.preferring:
        return cost, cost
    beside = timing.beside_usd.take(places) * factor
    return cost, cost + beside - lens.prices.accuracy.take(places)


def rank(look: Look, scored: Scored, most: int, lost: dict[int, str]) -> tuple[Candidate, ...]:
    """Pick a member of each group, best groups first, until `most` are found.

    `lost` takes the places that have none, and why.

    A group's bound may be better than its members: then it is lost, or comes later among those
    that cost the same. So groups that could still beat the best are looked at too.
    """
    found: list[tuple[Merit, Candidate]] = []
    earliest = inf
    for level in best_first(scored.worth_usd, scored.fits, scored.finish_ms):
        for at in level:
            place = scored.fits.item(at)
            if len(found) >= most and scored.finish_ms.item(place) >= earliest:
                break  # later than the best one of those that cost as little
            cost = scored.cost_usd.item(at), scored.worth_usd.item(at)
            candidate = _candidate(look, scored, place, cost)
            if isinstance(candidate, str):
                lost[place] = candidate
                continue
            found.append((merit(candidate), candidate))
            earliest = min(earliest, candidate.finish_ms)
        if len(found) >= most:
            break
        if found:
            earliest = -inf  # what costs more does not beat the best
    found.sort(key=_MERIT)
    return tuple([candidate for _, candidate in found[:most]])


def merit(candidate: Candidate) -> Merit:
    return (
        candidate.worth_usd,
        candidate.finish_ms,
        candidate.queue_ms,
        candidate.variant,
        candidate.node,
    )


def _candidate(
    look: Look, scored: Scored, place: int, cost: tuple[float, float]
) -> Candidate | str:
    """Return the group's best member as a candidate, or the reason that there is none."""
    group = _opened(look, scored, place)
    best = best_of(look, group)
    if best is None:
        return filters.TRIED if look.tried else filters.BARRED
    if best.finish_ms > look.latest_ms:
        return filters.TOO_SLOW
    return as_candidate(look, group, best, cost)


def _opened(look: Look, scored: Scored, place: int) -> Group:
    """Return the group at a place; opened once, as it stays the same while the lens does."""
    timing, row = scored.timing, scored.lens.rows.item(place)
    group = timing.opened.get(row)
    if group is None:
        group = timing.opened[row] = opened(look.table, row, timing.run_ms.item(place))
    return group


def as_candidate(look: Look, group: Group, best: Predicted, cost: tuple[float, float]) -> Candidate:
    """`cost`: the bill, and what orders candidates."""
    key, info = group.pool.key, group.info
    member, finish, link, transfer, queue, cold, run = best
    return Candidate(
        info.variant,
        info.architecture,
        info.accuracy,
        info.format,
        key.hardware,
        key.site,
        member.name,
        key.tier,
        group.warm,
        key.scope,
        link,
        transfer,
        queue,
        cold,
        run,
        finish,
        cost[0],
        group.marginal_ms / member.count * look.batch,
        cost[1],
        look.latest_ms,
        member.mbps,
    )


def with_second(
    look: Look, scored: Scored, ranked: tuple[Candidate, ...], lost: dict[int, str]
) -> tuple[Candidate, ...]:
    """Where only one group fits, name a second member of it too, so that there is a next to ask."""
    first = ranked[0]
    others = replace(look, tried=look.tried | {(first.site, first.node)})
    at = next(at for at, place in enumerate(scored.fits.tolist()) if place not in lost)
    cost = scored.cost_usd.item(at), scored.worth_usd.item(at)
    second = _candidate(others, scored, scored.fits.item(at), cost)
    return (first, second) if isinstance(second, Candidate) else ranked


def cheapest(look: Look, scored: Scored, best: Candidate) -> tuple[Group, ...]:
    """Return the groups that fit and are as good as the best; none where they are too many.

    Nor where one of them is cold: a load changes everything.
    """
    alike = scored.worth_usd <= best.worth_usd
    if scored.worth_usd is not scored.cost_usd:
        alike &= scored.cost_usd == best.cost_usd
    at_most = alike.nonzero()[0]
    if len(at_most) > ALIKE:
        return ()
    places = scored.fits.take(at_most).tolist()
    groups = tuple([_opened(look, scored, place) for place in places])
    return groups if all(group.warm for group in groups) else ()


def count_out(scored: Scored, ranked: int, lost: dict[int, str]) -> dict[str, int]:
    """Count every group with a node that is not ranked under the reason that it met first."""
    lens, fits, dear = scored.lens, len(scored.fits), len(scored.dear)
    accurate_live = lens.live_sum.item(scored.size)
    counts = lens.live_out.copy()
    for reason, count in (
        (filters.INACCURATE, lens.live_sum.item(-1) - accurate_live),
        (filters.TOO_SLOW, accurate_live - fits - dear),
        (filters.TOO_DEAR, dear),
        (filters.RANKED_LOWER, fits - ranked - len(lost)),
    ):
        if count:
            counts[reason] = count
    for reason in lost.values():
        counts[reason] = counts.get(reason, 0) + 1
    return counts


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
            candidate := _candidate(
                at_last, scored, places.item(at), (cost.item(at), worth.item(at))
            ),
            Candidate,
        )
    ]
    found.sort(key=lambda candidate: (candidate.finish_ms, merit(candidate)))
    return tuple(found[:AHEAD])


def fastest_ms(scored: Scored) -> float | None:
    """Return the earliest finish at the want's accuracy, whatever the budget."""
    earliest = float(scored.finish_ms.min(initial=np.inf))
    return earliest if earliest < np.inf else None


def best_accuracy(groups: Groups, look: Look, scored: Scored) -> float | None:
    """Return the best accuracy to be had within the budget, whatever the want's."""
    lens = scored.lens
    now = groups.now(lens, len(lens.rows))
    finish = _bound_ms(groups, lens, scored.timing, now, look)
    fits = filters.in_time(finish, look.latest_ms).nonzero()[0]
    return float(lens.facts.accuracy[fits[0]]) if len(fits) else None
