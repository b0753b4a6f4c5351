"""Pure. The steps of a decision: filter and predict all groups at once, rank and pick a few."""

from dataclasses import replace
from math import inf
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler import filters
from middle_tier.scheduler.changes import Lines
from middle_tier.scheduler.columns import FACTOR
from middle_tier.scheduler.cost import best_first
from middle_tier.scheduler.groups import Groups, Lens, Timing, accurate, bytes_usd
from middle_tier.scheduler.pick import Group, Look, Predicted, best_of, opened
from middle_tier.scheduler.types import Candidate, Demand, Policy
from protocol.types import QUANTILES

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

AHEAD = 2
"""Candidates that a plan ranks: the best, and the next, by which a router knows how long to wait.
One that needs a third makes a new plan, with what has become known."""

Merit = tuple[float, float, float, str, str]

_MERIT = itemgetter(0)
_QUANTILE = {percentile: at for at, percentile in enumerate(QUANTILES)}

ALIKE = 4
"""Equally cheap groups among whose members a pick can be made again, without a new plan."""


class Ranked(NamedTuple):
    """Those found, the best first."""

    places: list[int]
    candidates: list[Candidate]
    alike: list[int]
    """Places of all that cost as little as the best."""


class Scored(NamedTuple):
    """What is left of a task's groups for one demand: lines by place in the ground's rows."""

    lens: Lens
    timing: Timing
    size: int
    """Places below it are accurate enough; lines end there."""
    now: Lines
    """What changes all the time (`Columns.now`)."""
    finish_ms: Floats
    """Never later than any (scanned) member's; infinite where there is none."""
    cost_usd: Floats
    """What each would cost ..."""
    worth_usd: Floats
    """... and what the policy would rather pay, which is their order: mostly the same object.
    Infinite where one does not fit. `rank` uses it up."""
    within: int
    """How many are in time ..."""
    fits: int
    """... and affordable too."""


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
        _QUANTILE.get(demand.want.percentile),
    )


def score(demand: Demand, groups: Groups, policy: Policy, look: Look) -> Scored:
    """Filter all groups of the task, and predict and price those that are accurate enough."""
    lens = groups.lens(demand, policy)
    size = accurate(lens.ground, demand.want.min_accuracy)
    timing = groups.timing(look.batch, look.percentile)
    now = groups.now()
    finish = bound_ms(groups, lens, timing, look, slice(size))
    cost, worth = priced(look, lens, timing, now, slice(size))
    out = finish > look.latest_ms
    within = fits = size - int(np.count_nonzero(out))
    dear = filters.too_dear(cost, demand)
    if dear is not None:
        np.logical_or(out, dear, out=out)
        fits = size - int(np.count_nonzero(out))
    np.putmask(worth, out, np.inf)
    return Scored(lens, timing, size, now, finish, cost, worth, within, fits)


def bound_ms(groups: Groups, lens: Lens, timing: Timing, look: Look, those: slice) -> Floats:
    """Return the earliest finish of some groups, from what rows sum up of their members.

    `admission.finish_ms`, written so that as few columns as can be are made on the way.
    """
    free, own, cold, least, _ = groups.now()
    finish: Floats = free[those] - look.now_ms
    np.maximum(finish, own[those], out=finish)
    finish += cold[those]
    finish += groups.way_ms(look.percentile, look.nbytes)[those]
    finish += timing.run_ms[those] * least[those]
    if lens.barrier is not None:
        finish += lens.barrier[those]
    return finish


def priced(
    look: Look, lens: Lens, timing: Timing, now: Lines, those: slice | Rows
) -> tuple[Floats, Floats]:
    """Return what a demand costs in some groups (see `cost`), and what orders candidates.

    That is their cost, where the policy prefers nothing else: then both are one object.
    """
    factor = now[FACTOR][those]
    cost: Floats = timing.busy_usd[those] * factor
    carried = bytes_usd(lens.ground, look.nbytes)
    if carried is not None:
        cost += carried[those]
    prices = lens.ground.prices
    if not prices.preferring:
        return cost, cost
    beside = timing.beside_usd[those] * factor
    return cost, cost + beside - prices.accuracy[those]


def rank(look: Look, scored: Scored, most: int, lost: dict[int, str]) -> Ranked:
    """Pick a member of each group, best groups first, until `most` are found.

    `lost` takes the places that have none, and why.

    A group's bound may be better than its members: then it is lost, or comes later among those
    that cost the same. So groups that could still beat the best are looked at too.
    """
    found: list[tuple[Merit, int, Candidate]] = []
    alike: list[int] = []
    earliest, finish = inf, scored.finish_ms
    for worth, level in best_first(scored.worth_usd, finish):
        for place in level:
            if len(found) >= most and finish.item(place) >= earliest:
                break  # later than the best one of those that cost as little
            candidate = candidate_of(look, scored, place, (_bill(scored, place, worth), worth))
            if isinstance(candidate, str):
                lost[place] = candidate
                continue
            found.append((merit(candidate), place, candidate))
            earliest = min(earliest, candidate.finish_ms)
        if found:
            alike = alike or level
            earliest = -inf  # what costs more does not beat the best
        if len(found) >= most:
            break
    if len(found) > 1:
        found.sort(key=_MERIT)
        del found[most:]
    return Ranked([place for _, place, _ in found], [each for *_, each in found], alike)


def _bill(scored: Scored, place: int, worth: float) -> float:
    return worth if scored.cost_usd is scored.worth_usd else scored.cost_usd.item(place)


def merit(candidate: Candidate) -> Merit:
    return (
        candidate.worth_usd,
        candidate.finish_ms,
        candidate.queue_ms,
        candidate.variant,
        candidate.node,
    )


def candidate_of(
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
    timing, row = scored.timing, scored.lens.ground.rows.item(place)
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


def with_second(look: Look, scored: Scored, ranked: Ranked) -> tuple[Candidate, ...]:
    """Where only one group fits, name a second member of it too, so that there is a next to ask."""
    first, place = ranked.candidates[0], ranked.places[0]
    others = replace(look, tried=look.tried | {(first.site, first.node)})
    second = candidate_of(others, scored, place, (first.cost_usd, first.worth_usd))
    return (first, second) if isinstance(second, Candidate) else (first,)


def cheapest(look: Look, scored: Scored, ranked: Ranked) -> tuple[Group, ...]:
    """Return the groups that fit and are as good as the best; none where they are too many.

    Nor where one of them is cold: a load changes everything.
    """
    alike = ranked.alike
    if scored.worth_usd is not scored.cost_usd:
        cost, usd = scored.cost_usd, ranked.candidates[0].cost_usd
        alike = [place for place in alike if cost.item(place) == usd]
    if len(alike) > ALIKE:
        return ()
    groups = tuple([_opened(look, scored, place) for place in sorted(alike)])
    return groups if all(group.warm for group in groups) else ()
