"""Pure. What is worth loading: a cold variant that would have met a want, had it been warm.

Asked for only when nothing is ranked, so that choosing costs no more for it.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.members import Member, Pool
from middle_tier.scheduler.pick import Look, best_of
from middle_tier.scheduler.ranking import Scored, as_candidate, look_at, opened_at, score
from middle_tier.scheduler.types import Candidate, Demand, Policy

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

Refuser = tuple[str, str, str]
"""A variant, and the site and node that would not load it."""

SOON = 1.5
"""Of those that are there within so many times what the soonest takes, the cheapest is taken."""

LOOKED_AT = 16
"""Of a larger pool no more members are looked at."""


class _Able(NamedTuple):
    """Groups that make the budget, loads aside: equally long columns."""

    places: Rows
    warm: npt.NDArray[np.bool_]
    own: npt.NDArray[np.bool_]
    """Cold, and of nodes that can be told to load ..."""
    ready_ms: Floats
    """... when what is asked of one now would be answered."""
    loading: bool
    """Whether one of those is on its way."""


def worth_loading(
    demand: Demand, groups: Groups, policy: Policy, *,
    now: float, seed: int, refusers: Collection[Refuser] = (),
) -> Candidate | None:  # fmt: skip
    """Return the cheapest cold node, of those soon there, that makes the budget without its load.

    Only a node of this site, as nobody else's can be told to load. None where there is none; nor
    where a warm one makes the budget, as a load would then change nothing. Where nothing of the
    task is warm or on its way, the most accurate that makes the budget comes first: nodes load one
    after the other, and nobody knows yet what is wanted next.
    """
    look = look_at(demand, groups, policy, now=now, seed=seed)
    at_last = replace(look, latest_ms=np.inf)
    scored = score(demand, groups, policy, at_last)
    able = _able(look, scored)

    def member_of(place: int) -> Candidate | None:
        group, run_ms = opened_at(look, scored, place)
        variant = group.info.variant
        tried = {(site, node) for each, site, node in refusers if each == variant}
        member = best_of(replace(at_last, tried=look.tried | tried), group, run_ms)
        if member is None or member.finish_ms - member.cold_ms > look.latest_ms:
            return None
        cost = scored.cost_usd(place)
        return as_candidate(at_last, group, member, (cost, cost))

    if any(member_of(place) for place in able.places[able.warm].tolist()):
        return None
    begins = not able.loading and _bare(groups)
    found = map(member_of, _in_order(able, scored, by_accuracy=begins))
    return next((candidate for candidate in found if candidate is not None), None)


def _able(look: Look, scored: Scored) -> _Able:
    places = scored.places
    rows = scored.lens.ground.rows[scored.those].take(places)
    ready = scored.finish_ms.take(places)
    in_time = ready - look.table.columns.cold_ms.take(rows) <= look.latest_ms
    places, rows, ready = places[in_time], rows[in_time], ready[in_time]
    warm, own = np.zeros(len(places), np.bool_), np.zeros(len(places), np.bool_)
    loading = False
    numbers, which = np.unique(look.table.columns.pool.take(rows), return_inverse=True)
    for at in range(len(numbers)):
        mine = (which == at).nonzero()[0]
        pool = look.table.pool_of(rows.item(mine.item(0)))
        warm[mine] = rows[mine] < pool.first + pool.size
        if pool.key.scope != "node":
            continue
        own[mine] = ~warm[mine]
        wait_ms = min((_left_ms(one, look.now_ms) for one in pool.members[:LOOKED_AT]), default=0.0)
        ready[mine] += wait_ms
        for place in mine[[row in pool.loaders for row in rows[mine].tolist()]].tolist():
            loading = True
            ready[place] += _under_way_ms(look, pool, rows.item(place)) - wait_ms
    return _Able(places, warm, own, ready, loading)


def _in_order(able: _Able, scored: Scored, *, by_accuracy: bool) -> Iterator[int]:
    """Yield the places of cold groups, the best first."""
    if not able.own.any():
        return
    places, ready = able.places[able.own], able.ready_ms[able.own]
    later = ready > SOON * ready.min()
    ground, those = scored.lens.ground, scored.those
    cost = scored.kind.cost_usd[those].take(places)
    turn, inaccuracy = ground.turn[those].take(places), -ground.facts.accuracy[those].take(places)
    keys = (turn, ready, cost, inaccuracy, later) if by_accuracy else (turn, ready, cost, later)
    yield from places.take(np.lexsort(keys)).tolist()


def _left_ms(member: Member, now_ms: float) -> float:
    """What is left of all that it loads."""
    return max(0.0, max(member.loading.values()) - now_ms) if member.loading else 0.0


def _under_way_ms(look: Look, pool: Pool, row: int) -> float:
    """What is left of a variant's load that is the first to be over."""
    variant = pool.infos[row - pool.first - pool.size].variant
    return min(max(0.0, one.loading[variant] - look.now_ms) for one in pool.loaders[row])


def _bare(groups: Groups) -> bool:
    """Whether no node here holds or loads a variant of the task, as far as is looked."""
    return not any(
        pool.infos[row - pool.first].task == groups.task
        for pool in groups.table.by_key.values()
        if pool.key.scope == "node"
        for member in pool.members[:LOOKED_AT]
        for row in (*member.warm, *_loading_rows(pool, member))
    )


def _loading_rows(pool: Pool, member: Member) -> Iterator[int]:
    return (pool.first + pool.index[name] for name in member.loading if name in pool.index)
