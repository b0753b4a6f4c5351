"""Pure. Who would be in time if their node ran a demand before what is due later: as agents do.

Asked only when nothing is ranked, so that choosing costs no more for it. A node that is asked
knows all that waits there, and refuses what would make others late (`edge_agent.queue.slack`).
"""

from itertools import islice

import numpy as np

from middle_tier.scheduler import filters
from middle_tier.scheduler.cost import best_first
from middle_tier.scheduler.pick import Look, opened, passing_of
from middle_tier.scheduler.ranking import AHEAD, Scored, as_candidate, priced
from middle_tier.scheduler.types import Candidate, Demand

LOOKED_AT = 8
"""Groups whose members are looked at, the cheapest first."""


def pressed(look: Look, demand: Demand, scored: Scored) -> tuple[Candidate, ...]:
    """Return the cheapest warm nodes that make it in their turn; none where there are none."""
    size, ground = scored.size, scored.lens.ground
    free, own, cold = (line[:size] for line in scored.now[:3])
    with np.errstate(invalid="ignore"):  # a group without members: infinite less infinite
        alone = scored.finish_ms - np.maximum(free - look.now_ms, own)
    places = ((alone <= look.latest_ms) & (cold <= 0.0)).nonzero()[0]
    if not len(places):
        return ()
    cost, worth = priced(look, scored.lens, scored.timing, scored.now, places)
    over = filters.too_dear(cost, demand)
    if over is not None:
        places, cost, worth = places[~over], cost[~over], worth[~over]
    bills, found = cost.tolist(), list[Candidate]()
    levels = best_first(worth, alone.take(places))
    for usd, at in islice(((usd, at) for usd, level in levels for at in level), LOOKED_AT):
        place = places.item(at)
        group = opened(look.table, ground.rows.item(place), scored.timing.run_ms.item(place))
        member = passing_of(look, group) if group.pool.key.scope == "node" else None
        if member is not None and member.finish_ms <= look.latest_ms:
            found.append(as_candidate(look, group, member, (bills[at], usd)))
            if len(found) == AHEAD:
                break
    return tuple(found)
