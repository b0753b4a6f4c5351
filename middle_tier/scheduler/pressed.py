"""Pure. Who would be in time if their node ran a demand before what is due later: as agents do.

Asked only when nothing is ranked, so that choosing costs no more for it. A node that is asked
knows all that waits there, and refuses what would make others late (`edge_agent.queue.slack`).
"""

from itertools import chain, islice

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
    free, own, cold, _, _ = scored.now
    with np.errstate(invalid="ignore"):  # a group without members: infinite less infinite
        alone = scored.finish_ms - np.maximum(free - look.now_ms, own)
    places = ((alone <= look.latest_ms) & (cold <= 0.0)).nonzero()[0]
    cost, worth = priced(look, scored.lens, scored.timing, scored.now, places)
    over = filters.too_dear(cost, demand)
    if over is not None:
        places, cost, worth = places[~over], cost[~over], worth[~over]
    found: list[Candidate] = []
    for at in islice(chain.from_iterable(best_first(worth, places, alone)), LOOKED_AT):
        place = places.item(at)
        row, run = scored.lens.rows.item(place), scored.timing.run_ms.item(place)
        group = opened(look.table, row, run)
        member = passing_of(look, group) if group.pool.key.scope == "node" else None
        if member is not None and member.finish_ms <= look.latest_ms:
            found.append(as_candidate(look, group, member, (cost.item(at), worth.item(at))))
            if len(found) == AHEAD:
                break
    return tuple(found)
