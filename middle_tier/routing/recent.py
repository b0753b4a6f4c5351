"""Pure. The plan of a moment ago, for the next query of the same kind: most come in crowds.

Within some milliseconds only queues have changed, most of all by what we have sent ourselves. So
which groups are the cheapest is remembered, and the member is picked anew, with queues as they are.
"""

from collections.abc import Callable

from edge_agent.known import Known
from middle_tier.scheduler.types import Demand, Plan

KEEP_S = 0.02
"""How long a plan may be used again. Adverts are older than that when they arrive."""

KINDS = 256
"""Kinds of want remembered; when there are more, all are forgotten."""

Kind = tuple[object, ...]


class Recent:
    """The mutable state is the plans made lately (with when), by kind of demand."""

    def __init__(
        self, choose: Callable[[Demand], Plan], again: Callable[[Demand, Plan], Plan | None]
    ) -> None:
        self._choose = choose
        self._again = again
        self._made: dict[Kind, tuple[Plan, float]] = {}
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
        if made is not None and now - made[1] < KEEP_S:
            again = self._again(demand, made[0])
            if again is not None:
                return again
        plan = self._choose(demand)
        if plan.cheapest:
            if len(self._made) >= KINDS:
                self._made.clear()
            self._made[kind] = plan, now
        elif made is not None:
            del self._made[kind]
        return plan


def _kind(demand: Demand) -> Kind:
    want = demand.want
    return (
        want.task, want.architecture, want.variant, demand.budget_ms, want.percentile,
        want.min_accuracy, want.max_cost_usd, demand.rows, demand.in_bytes, demand.out_bytes,
        demand.tiers, demand.hops, demand.permit,
    )  # fmt: skip
