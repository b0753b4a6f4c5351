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
from middle_tier.scheduler.cost import best_first
from middle_tier.scheduler.pick import Look, Predicted, opened, passing_of
from middle_tier.scheduler.ranking import AHEAD, Scored, as_candidate, priced
from middle_tier.scheduler.types import Candidate, Demand

LOOKED_AT = 8
"""Groups whose members are looked at, the cheapest first."""


class Pressed(NamedTuple):
    """The cheapest warm nodes that could be in time, a few of each kind."""

    in_turn: tuple[Candidate, ...] = ()
    """Where what is due later waits."""
    within: tuple[Candidate, ...] = ()
    """Where all that waits does, if it has to."""


def pressed(look: Look, demand: Demand, scored: Scored) -> Pressed:
    """Return the nodes that make it before others that wait."""
    size, ground = scored.size, scored.lens.ground
    cold = scored.now[2][:size]
    alone = alone_ms(scored, look.now_ms)
    places = ((alone <= look.latest_ms) & (cold <= 0.0)).nonzero()[0]
    if not len(places):
        return Pressed()
    cost, worth = priced(look, scored.lens, scored.timing, scored.now, places)
    over = filters.too_dear(cost, demand)
    if over is not None:
        places, cost, worth = places[~over], cost[~over], worth[~over]
    bills, found, within = cost.tolist(), list[Candidate](), list[Candidate]()
    levels = best_first(worth, alone.take(places))
    for usd, at in islice(((usd, at) for usd, level in levels for at in level), LOOKED_AT):
        place = places.item(at)
        group = opened(look.table, ground.rows.item(place), scored.timing.run_ms.item(place))
        member = passing_of(look, group) if group.pool.key.scope == "node" else None
        if member is None:
            continue
        if member.finish_ms <= look.latest_ms:
            found.append(as_candidate(look, group, member, (bills[at], usd)))
            if len(found) == AHEAD:
                break
        elif len(within) < AHEAD and (first := first_there(member)).finish_ms <= look.latest_ms:
            within.append(as_candidate(look, group, first, (bills[at], usd)))
    return Pressed(tuple(found), () if found else tuple(within))


def alone_ms(scored: Scored, now_ms: float) -> npt.NDArray[np.float64]:
    """Return what each group would take if nobody waited there."""
    free, own = (line[: scored.size] for line in scored.now[:2])
    with np.errstate(invalid="ignore"):  # a group without members: infinite less infinite
        alone: npt.NDArray[np.float64] = scored.finish_ms - np.maximum(free - now_ms, own)
    return np.nan_to_num(alone, nan=np.inf)


def first_there(seen: Predicted) -> Predicted:
    """As if nobody waited there."""
    return seen._replace(finish_ms=seen.finish_ms - seen.queue_ms, queue_ms=0.0)
