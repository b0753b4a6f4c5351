"""Pure. Who would be in time if their node ran a demand before others: as agents do.

Before what is due later; or, for a tenant within its share, before all of those beyond theirs.

Asked only when nothing is ranked, so that choosing costs no more for it. A node that is asked
knows all that waits there, and refuses what would make others late (`edge_agent.queue.slack`).
"""

from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler import filters
from middle_tier.scheduler.members import PoolKey
from middle_tier.scheduler.pick import Look, Predicted, passing_of
from middle_tier.scheduler.ranking import AHEAD, Scored, as_candidate, levels, opened_at
from middle_tier.scheduler.types import Candidate, Demand

Rows = npt.NDArray[np.intp]

LOOKED_AT = 8
"""Groups whose members are looked at, the cheapest first."""


class Pressed(NamedTuple):
    """The cheapest warm nodes that could be in time, a few of each kind."""

    in_turn: tuple[Candidate, ...] = ()
    """Where what is due later waits."""
    within: tuple[Candidate, ...] = ()
    """Where all that waits does, if it has to."""

    crowded: PoolKey | None = None
    """The one pool that could serve it if nobody waited there, where there is but one."""


def pressed(look: Look, demand: Demand, scored: Scored) -> Pressed:
    """Return the nodes that make it before others that wait."""
    alone = alone_ms(scored)
    able = alone <= look.latest_ms
    able[: scored.warm] = False
    places = able.nonzero()[0]
    dear = filters.too_dear(scored.kind.cost_usd[scored.those].take(places), demand)
    if dear is not None:
        places = places[~dear]
    found, within = list[Candidate](), list[Candidate]()
    cheapest = ((usd, at) for usd, level in levels(look, scored, places, alone) for at in level)
    for usd, place in islice(cheapest, LOOKED_AT):
        group, run_ms = opened_at(look, scored, place)
        member = passing_of(look, group, run_ms) if group.pool.key.scope == "node" else None
        if member is None:
            continue
        paid = scored.cost_usd(place), usd
        if member.finish_ms <= look.latest_ms:
            found.append(as_candidate(look, group, member, paid))
            if len(found) == AHEAD:
                break
        elif len(within) < AHEAD and (first := first_there(member)).finish_ms <= look.latest_ms:
            within.append(as_candidate(look, group, first, paid))
    return Pressed(
        tuple(found), () if found else tuple(within), only_pool(look, demand, scored, places)
    )


def only_pool(look: Look, demand: Demand, scored: Scored, places: Rows) -> PoolKey | None:
    """Return the pool where all these groups are, if they are of one pool of nodes.

    None for a demand of which time, or somebody to ask, is gone: that had others to go to.
    """
    if demand.tried or demand.budget_ms < demand.want.latency_ms:
        return None
    pools = scored.lens.ground.pool.take(places + scored.those.start)
    if not len(pools) or (pools != pools[0]).any():
        return None
    pool = look.table.pool_of(scored.row(places.item(0)))
    return pool.key if pool.key.scope == "node" else None


def alone_ms(scored: Scored) -> npt.NDArray[np.float64]:
    """Return what each group would take if nobody waited there."""
    alone: npt.NDArray[np.float64] = scored.kind.alone_ms[scored.those].copy()
    np.putmask(alone, scored.finish_ms == np.inf, np.inf)  # nobody is there, or may be
    return alone


def first_there(seen: Predicted) -> Predicted:
    """As if nobody waited there."""
    return seen._replace(finish_ms=seen.finish_ms - seen.queue_ms, queue_ms=0.0)
