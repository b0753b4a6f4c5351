"""Pure. The steps of a decision: filter and predict all groups at once, rank and pick a few."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler import filters
from middle_tier.scheduler.cost import best_first
from middle_tier.scheduler.grounds import Lens
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.kinds import Kind
from middle_tier.scheduler.pick import Group, Look, Predicted, best_of, opened
from middle_tier.scheduler.types import Candidate, Demand, Policy
from protocol.types import QUANTILES

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

AHEAD = 2
"""Candidates that a plan ranks: the best, and the next, by which a router knows how long to wait.
One that needs a third makes a new plan, with what has become known."""

Merit = tuple[float, float, float, str, str]

_QUANTILE = {percentile: at for at, percentile in enumerate(QUANTILES)}

ALIKE = 4
"""Equally cheap groups among whose members a pick can be made again, without a new plan."""


Found = list[tuple[int, Candidate]]
"""Candidates, the best first, and the places of their groups."""


class Scored(NamedTuple):
    """What is left of a task's groups for one demand: a stretch of the ground's places."""

    lens: Lens
    kind: Kind
    those: slice
    """The places of those that are accurate enough: cold ones below the ground's middle, unless
    none of them could load in time. From here on, places begin with the first of them."""
    size: int
    """So many on each side are accurate enough."""
    finish_ms: Floats
    """By place: never later than any (scanned) member's; infinite where there is none."""
    within: int
    """How many are in time."""
    places: Rows
    """Where those are that are affordable too."""

    @property
    def warm(self) -> int:
        """The first that is warm."""
        first: int = self.those.start
        return self.lens.ground.middle - first

    def row(self, place: int) -> int:
        return self.lens.ground.rows.item(self.those.start + place)

    def cost_usd(self, place: int) -> float:
        return self.kind.cost_usd.item(self.those.start + place)


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


def score(
    demand: Demand, groups: Groups, policy: Policy, look: Look, *, whole: bool = False
) -> Scored:
    """Filter all groups of the task, and predict and price those that are accurate enough.

    Cold ones are left out when none could load in time, unless the `whole` is asked for.
    """
    lens, kind = groups.lens(demand, policy), groups.kind(look.batch, look.percentile, look.nbytes)
    middle, size = lens.ground.middle, lens.ground.accurate(demand.want.min_accuracy)
    cold = size if whole or groups.least_load_ms() <= look.latest_ms else 0
    those = slice(middle - cold, middle + size)
    finish = bound_ms(groups, lens, kind, look.now_ms, those)
    in_time, most = finish <= np.array(look.latest_ms), demand.want.max_cost_usd
    if most is None:
        places = in_time.nonzero()[0]
        within = len(places)
    else:
        within = int(np.count_nonzero(in_time))
        places = (in_time & (kind.cost_usd[those] <= np.array(most))).nonzero()[0]
    return Scored(lens, kind, those, size, finish, within, places)


def bound_ms(groups: Groups, lens: Lens, kind: Kind, now_ms: float, those: slice) -> Floats:
    """Return the earliest finish of some groups, from what rows sum up of their members.

    `admission.finish_ms`, written so that as few columns as can be are made on the way.
    """
    free, own = groups.load()
    finish: Floats = free[those] - np.array(now_ms)  # as numpy takes long over Python's numbers
    np.maximum(finish, own[those], out=finish)
    np.add(finish, kind.alone_ms[those], out=finish)
    if lens.barrier is not None:
        np.add(finish, lens.barrier[those], out=finish)
    return finish


def levels(
    look: Look, scored: Scored, places: Rows, finish_ms: Floats
) -> Iterator[tuple[float, list[int]]]:
    """Return what groups are worth, the cheapest first, each with the places of all that are.

    Those by finish, and by accuracy where that is the same too.
    """
    start, turn = scored.those.start, scored.lens.ground.turn
    worth = scored.kind.worth_usd[scored.those].take(places)
    if look.table.tolls.until_ms > look.now_ms:
        worth += tolls_usd(look, scored, places)
    return best_first(
        worth, places, lambda place: (finish_ms.item(place), turn.item(start + place))
    )


def tolls_usd(look: Look, scored: Scored, places: Rows) -> Floats:
    """Return what is paid, in order only, where others were crowded out (see `tolls`)."""
    ground, kind, at = scored.lens.ground, scored.kind, places + scored.those.start
    queue_ms = scored.finish_ms.take(places) - kind.alone_ms.take(at)
    tolls = look.table.tolls.share(ground.pool.take(at), queue_ms, look.now_ms)
    run_usd = kind.cost_usd.take(at)
    if ground.usd_per_byte is not None:
        run_usd -= look.nbytes * ground.usd_per_byte.take(at)
    tolls *= run_usd
    return tolls


def rank(look: Look, scored: Scored, most: int, lost: dict[int, str]) -> tuple[Found, list[int]]:
    """Pick a member of each group, best groups first, until `most` are found.

    Return them, and the places of all that cost as little as the best. `lost` takes the places that
    have none, and why.

    A group's bound may be better than its members: then it is lost, or comes later among those
    that cost the same. So groups that could still beat the best are looked at too.
    """
    found: Found = []
    alike: list[int] = []
    finish, cost, first = scored.finish_ms, scored.kind.cost_usd, scored.those.start
    for worth, level in levels(look, scored, scored.places, finish):
        here: Found = []
        earliest = -inf if found else inf  # what costs more does not beat the best
        for place in level:
            if len(found) + len(here) >= most and finish.item(place) >= earliest:
                break  # later than the best one of those that cost as little
            candidate = candidate_of(look, scored, place, (cost.item(first + place), worth))
            if isinstance(candidate, str):
                lost[place] = candidate
                continue
            here.append((place, candidate))
            earliest = min(earliest, candidate.finish_ms)
        if len(here) > 1:
            here.sort(key=_merit_of)
        if not found and here:
            alike = level
        found += here
        if len(found) >= most:
            break
    return found[:most], alike


def _merit_of(found: tuple[int, Candidate]) -> Merit:
    return merit(found[1])


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
    group, run_ms = opened_at(look, scored, place)
    best = best_of(look, group, run_ms)
    if best is None:
        return filters.TRIED if look.tried else filters.BARRED
    if best.finish_ms > look.latest_ms:
        return filters.TOO_SLOW
    return as_candidate(look, group, best, cost)


def opened_at(look: Look, scored: Scored, place: int) -> tuple[Group, float]:
    """Return the group at a place and its run; opened once, as it stays the same."""
    ground, at = scored.lens.ground, scored.those.start + place
    group = ground.opened.get(at)
    if group is None:
        group = ground.opened[at] = opened(look.table, ground.rows.item(at))
    return group, scored.kind.timing.run_ms.item(at)


def as_candidate(look: Look, group: Group, best: Predicted, cost: tuple[float, float]) -> Candidate:
    """`cost`: the bill, and what orders candidates.

    Put together from parts, as naming each of so many fields takes as long as predicting it.
    """
    member, finish, link, transfer, queue, cold, run = best
    marginal_ms = group.marginal_ms / member.count * look.batch
    return tuple.__new__(
        Candidate,
        (
            *group.what, member.name, *group.where, link, transfer, queue, cold,
            run, finish, cost[0], marginal_ms, cost[1], look.latest_ms, member.mbps,
        )
    )  # fmt: skip


def with_second(look: Look, scored: Scored, found: Found) -> tuple[Candidate, ...]:
    """Where only one group fits, name a second member of it too, so that there is a next to ask."""
    place, first = found[0]
    others = replace(look, tried=look.tried | {(first.site, first.node)})
    second = candidate_of(others, scored, place, (first.cost_usd, first.worth_usd))
    return (first, second) if isinstance(second, Candidate) else (first,)


def cheapest(
    look: Look, scored: Scored, alike: list[int], usd: float
) -> tuple[tuple[Group, float], ...]:
    """Return the groups that are as good as the best, which costs so much; none of too many.

    Nor where one of them is cold: a load changes everything.
    """
    if scored.lens.ground.prices.preferring or look.table.tolls.until_ms > look.now_ms:
        alike = [place for place in alike if scored.cost_usd(place) == usd]
    if len(alike) > ALIKE:
        return ()
    if len(alike) > 1:
        alike = sorted(alike)
    groups = [opened_at(look, scored, place) for place in alike]
    for group, _ in groups:
        if not group.warm:
            return ()
    return tuple(groups)
