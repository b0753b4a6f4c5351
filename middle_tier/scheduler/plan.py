"""Pure. The decision: filter, predict, rank, pick; and for people, why not the others.

`choose` and `explain` take the same steps (`ranking`) with the same filters. Neither reads a clock,
draws chance of its own, or changes what was learnt.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from middle_tier.scheduler import filters
from middle_tier.scheduler.cost import usd_per_byte
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.members import TIERS
from middle_tier.scheduler.misses import best_accuracy, cheapest_usd, fallbacks, fastest_ms
from middle_tier.scheduler.pick import Look, best_of, members_of, opened
from middle_tier.scheduler.pressed import Pressed, pressed
from middle_tier.scheduler.prices import energy_share, usd_per_busy_ms
from middle_tier.scheduler.ranking import (
    AHEAD,
    Rows,
    Scored,
    as_candidate,
    cheapest,
    look_at,
    merit,
    rank,
    score,
    with_second,
)
from middle_tier.scheduler.runs import run_ms
from middle_tier.scheduler.tally import Tally
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy, Rejected
from protocol.types import Tier


def choose(demand: Demand, groups: Groups, policy: Policy, *, now: float, seed: int) -> Plan:
    """Rank the best candidate for a demand and the next, and count why the other groups are out."""
    look = look_at(demand, groups, policy, now=now, seed=seed)
    scored = score(demand, groups, policy, look)
    lost: dict[int, str] = {}
    found, alike = rank(look, scored, AHEAD, lost)
    counts = Tally(scored, len(found), lost)
    if not found:
        accuracy, passing = best_accuracy(groups, look, scored), pressed(look, demand, scored)
        fastest = fastest_ms(groups, look, scored)
        fallback = fallbacks(demand, groups, policy, look)
        dearest = demand.want.max_cost_usd
        return Plan(
            (), counts, (), fallback, passing.in_turn, fastest, accuracy, within=passing.within,
            cheapest_usd=None if dearest is None else cheapest_usd(look, scored),
            crowded=passing.crowded,
        )  # fmt: skip
    best = found[0][1]
    both = (best, found[1][1]) if len(found) > 1 else with_second(look, scored, found)
    return Plan(both, counts, cheapest=cheapest(look, scored, alike, best.cost_usd))


def choose_again(
    demand: Demand, groups: Groups, policy: Policy, plan: Plan, *, now: float, seed: int
) -> Plan | None:
    """Return a plan for a demand like that of `plan`, which was made a moment ago.

    Only the members are picked anew, among the groups that were the cheapest then: queues are as
    they are now. None when none of them is in time any more: then it takes a new plan.
    """
    look = look_at(demand, groups, policy, now=now, seed=seed)
    best: Candidate | None = None
    cost = plan.ranked[0].cost_usd, plan.ranked[0].worth_usd
    for group, once_ms in plan.cheapest:
        found = best_of(look, group, once_ms)
        if found is None or found.finish_ms > look.latest_ms:
            continue
        candidate = as_candidate(look, group, found, cost)
        if best is None or merit(candidate) < merit(best):
            best = candidate
    if best is None:
        return None
    return Plan((best, *plan.ranked[1:]), plan.counts, cheapest=plan.cheapest)


def explain(demand: Demand, groups: Groups, policy: Policy, *, now: float, seed: int) -> Plan:
    """Take the steps of `choose`, rank all that fit, and list each other group with its reason."""
    look = look_at(demand, groups, policy, now=now, seed=seed)
    scored = score(demand, groups, policy, look, whole=True)
    lost: dict[int, str] = {}
    found, _ = rank(look, scored, len(scored.places), lost)
    ranked = tuple(candidate for _, candidate in found)
    describe = _Describing(look, groups, policy)
    rejected = tuple(
        describe(row, reason)
        for reason, rows in _out(look, scored, lost)
        for row in rows.tolist()
        if groups.table.columns.nodes[row] > 0
    )
    counts = Counter(line.reason for line in rejected)
    passing = Pressed() if ranked else pressed(look, demand, scored)
    return Plan(
        ranked,
        dict(counts),
        rejected,
        () if ranked else fallbacks(demand, groups, policy, look),
        passing.in_turn,
        fastest_ms(groups, look, scored),
        best_accuracy(groups, look, scored),
        bytes_usd=describe.bytes_usd,
        energy=_energy(groups, policy),
        within=passing.within,
    )


def _out(look: Look, scored: Scored, lost: dict[int, str]) -> Iterator[tuple[str, Rows]]:
    ground, those, inside = scored.lens.ground, scored.those, scored.lens.inside
    within = scored.finish_ms <= look.latest_ms
    accurate = np.zeros_like(inside)
    accurate[those] = True
    slow, dear = accurate & inside, np.zeros_like(inside)
    slow[those] &= ~within
    dear[those] = within
    dear[those.start + scored.places] = False
    yield from scored.lens.out
    for reason, out in (
        (filters.INACCURATE, inside & ~accurate), (filters.TOO_SLOW, slow), (filters.TOO_DEAR, dear)
    ):  # fmt: skip
        yield reason, ground.in_turn(out.nonzero()[0])
    for place, reason in lost.items():
        yield reason, np.array([scored.row(place)])


def _energy(groups: Groups, policy: Policy) -> dict[tuple[str, str, Tier], float | None]:
    found: dict[tuple[str, str, Tier], float | None] = {}
    for pool in groups.table.pools:
        if pool is None or not pool.members:
            continue
        key, share = pool.key, energy_share(policy, pool.key)
        kind = key.site, key.hardware, key.tier
        found[kind] = share if found.get(kind, share) == share else None
    return found


class _Describing:
    """Writes the line of a group that is out."""

    def __init__(self, look: Look, groups: Groups, policy: Policy) -> None:
        self._look = replace(look, latest_ms=np.inf)
        self._policy = policy
        price = usd_per_byte(policy, groups.here) * look.nbytes
        self.bytes_usd = dict(zip(TIERS, price.tolist(), strict=True))

    def __call__(self, row: int, reason: str) -> Rejected:
        look = self._look
        columns = look.table.columns
        at = np.array([row])
        group = opened(look.table, row)
        best = best_of(look, group, run_ms(columns, at, look.batch, look.percentile).item())
        median = float(run_ms(columns, at, look.batch, 50.0)[0]) * columns.factor.item(row)
        key = group.pool.key
        parts = (None,) * 6 if best is None else best[1:]
        return Rejected(
            variant=group.info.variant,
            hardware=key.hardware,
            site=key.site,
            tier=key.tier,
            warm=group.warm,
            reason=reason,
            finish_ms=parts[0],
            cost_usd=median * usd_per_busy_ms(self._policy, key) + self.bytes_usd[key.tier],
            accuracy=group.info.accuracy,
            nodes=sum(member.count for member in members_of(look.table, group)),
            link_ms=parts[1],
            transfer_ms=parts[2],
            queue_ms=parts[3],
            cold_ms=parts[4],
            run_ms=parts[5],
        )
