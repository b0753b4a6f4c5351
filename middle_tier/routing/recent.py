"""Pure. The plan of a moment ago, for the next query of the same kind: most come in crowds.

Within some milliseconds only queues have changed, most of all by what we have sent ourselves. So
which groups are the cheapest is remembered, and the member is picked anew, with queues as they are:
unless what was sent since the last pick is too little to matter to the want.
"""

from collections.abc import Callable

from edge_agent.known import Known
from middle_tier.scheduler.types import Demand, Plan

KEEP_S = 0.02
"""How long a plan may be used again. Adverts are older than that when they arrive."""

SAME_S = 0.001
SLIGHT = 0.002
"""A pick holds for this long at most, and for work of this share of the budget: a want of 100 ms is
picked for anew after 0.2 ms of work. What one run is for most is more than that."""

KINDS = 256
"""Kinds of want remembered; when there are more, all are forgotten."""

Kind = tuple[object, ...]


class _Made:
    """A plan, and the pick that was made last by it."""

    __slots__ = ("at", "picked", "picked_at", "plan", "spare_ms")

    def __init__(self, plan: Plan, budget_ms: float, now: float) -> None:
        self.plan = plan
        self.at = now
        self.pick(plan, budget_ms, now)

    def pick(self, picked: Plan, budget_ms: float, now: float) -> None:
        self.picked = picked
        self.picked_at = now
        self.spare_ms = SLIGHT * budget_ms - picked.ranked[0].marginal_ms


class Recent:
    """The mutable state is the plans made lately (with when), by kind of demand."""

    def __init__(
        self, choose: Callable[[Demand], Plan], again: Callable[[Demand, Plan], Plan | None]
    ) -> None:
        self._choose = choose
        self._again = again
        self._made: dict[Kind, _Made] = {}
        self._kinds: Known[Demand, Kind] = Known()

    def __repr__(self) -> str:
        return f"<Recent {len(self._made)} plans>"

    def forget(self) -> None:
        """Something went otherwise than planned."""
        self._made.clear()

    def plan(self, demand: Demand, now: float) -> Plan:
        """Return a plan for `demand`, made now; or lately, with the member picked now."""
        if demand.tried:
            return self._choose(demand)
        kind = self._kinds.get(demand)
        if kind is None:
            kind = _kind(demand)
            self._kinds.put(demand, kind)
        made = self._made.get(kind)
        if made is not None and now - made.at < KEEP_S:
            again = self._picked(made, demand, now)
            if again is not None:
                return again
        plan = self._choose(demand)
        if plan.cheapest:
            if len(self._made) >= KINDS:
                self._made.clear()
            self._made[kind] = _Made(plan, demand.budget_ms, now)
        elif made is not None:
            del self._made[kind]
        return plan

    def _picked(self, made: _Made, demand: Demand, now: float) -> Plan | None:
        if made.spare_ms >= 0.0 and now - made.picked_at < SAME_S:
            made.spare_ms -= made.picked.ranked[0].marginal_ms
            return made.picked
        again = self._again(demand, made.plan)
        if again is not None:
            made.pick(again, demand.budget_ms, now)
        return again


def _kind(demand: Demand) -> Kind:
    want = demand.want
    return (
        want.task, want.architecture, want.variant, demand.budget_ms, want.percentile,
        want.min_accuracy, want.max_cost_usd, demand.rows, demand.in_bytes, demand.out_bytes,
        demand.tiers, demand.hops, demand.permit,
    )  # fmt: skip
