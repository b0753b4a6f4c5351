"""Pure. What is worth loading: a cold variant that would have met a want, had it been warm.

Asked for only when nothing is ranked, so that choosing costs no more for it.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from middle_tier.scheduler.columns import COLD
from middle_tier.scheduler.cost import best_first
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.pick import best_of, opened
from middle_tier.scheduler.ranking import as_candidate, look_at, score
from middle_tier.scheduler.types import Candidate, Demand, Policy

Refuser = tuple[str, str, str]
"""A variant, and the site and node that would not load it."""


def worth_loading(
    demand: Demand, groups: Groups, policy: Policy, *,
    now: float, seed: int, refusers: Collection[Refuser] = (),
) -> Candidate | None:  # fmt: skip
    """Return the cheapest, then fastest, cold node that makes the budget without its load.

    Only a node of this site, as nobody else's can be told to load. None where there is none; nor
    where a warm one makes the budget, as a load would then change nothing.
    """
    look = look_at(demand, groups, policy, now=now, seed=seed)
    at_last = replace(look, latest_ms=np.inf)
    scored = score(demand, groups, policy, at_last)
    finish, cold, rows = scored.finish_ms, scored.now[COLD], scored.lens.ground.rows
    bill = np.where(scored.worth_usd < np.inf, scored.cost_usd, np.inf)
    found: Candidate | None = None
    for cost, place in ((cost, at) for cost, level in best_first(bill, finish) for at in level):
        if not finish.item(place) - cold.item(place) <= look.latest_ms:
            continue
        group = opened(look.table, rows.item(place), scored.timing.run_ms.item(place))
        if found is not None and not group.warm:
            continue
        variant = group.info.variant
        tried = {(site, node) for each, site, node in refusers if each == variant}
        member = best_of(replace(at_last, tried=look.tried | tried), group)
        if member is None or member.finish_ms - member.cold_ms > look.latest_ms:
            continue
        if group.warm:
            return None
        if group.pool.key.scope == "node":
            found = as_candidate(look, group, member, (cost, cost))
    return found
