"""Pure. The plan of a moment ago, for the next query of the same kind: most come in crowds.

Within a millisecond or two only the queue of the node that was chosen has changed, by what we have
sent there ourselves. While one candidate is the cheapest and still in time, a new plan would choose
it again; then this does, without planning.
"""

from collections.abc import Callable

from middle_tier.scheduler.types import Candidate, Demand, Plan

KEEP_S = 0.002
"""How long a plan may be used again. Adverts are older than that when they arrive."""

KINDS = 256
"""Kinds of want remembered; when there are more, all are forgotten."""

Kind = tuple[object, ...]


class _Made:
    """A plan, when it was made, and how often it has been used since."""

    __slots__ = ("at", "best", "plan", "room", "used")

    def __init__(self, plan: Plan, at: float, room: int) -> None:
        self.plan = plan
        self.best = plan.ranked[0]
        self.at = at
        self.room = room
        """How many more of these may be sent after the first, each in time."""
        self.used = 0


class Recent:
    """The mutable state is the plans made lately, by kind of demand."""

    def __init__(self, choose: Callable[[Demand], Plan]) -> None:
        self._choose = choose
        self._made: dict[Kind, _Made] = {}

    def __repr__(self) -> str:
        return f"<Recent {len(self._made)} plans>"

    def forget(self) -> None:
        """Something went otherwise than planned."""
        self._made.clear()

    def plan(self, demand: Demand, *, within_ms: float, now: float) -> Plan:
        """Return a plan for `demand`, whose predictions must be `within_ms`; made now or lately."""
        if demand.tried:
            return self._choose(demand)
        kind = _kind(demand)
        made = self._made.get(kind)
        if made is not None and made.used < made.room and now - made.at < KEEP_S:
            made.used += 1
            return Plan((_behind(made.best, made.used), *made.plan.ranked[1:]), made.plan.counts)
        plan = self._choose(demand)
        room = _room(plan, within_ms)
        if room:
            if len(self._made) >= KINDS:
                self._made.clear()
            self._made[kind] = _Made(plan, now, room)
        elif made is not None:
            del self._made[kind]
        return plan


def _room(plan: Plan, within_ms: float) -> int:
    """How many more queries the best candidate could take in time, as the only cheapest one."""
    if not plan.ranked:
        return 0
    best, *others = plan.ranked
    if not best.warm or (others and others[0].cost_usd <= best.cost_usd):
        return 0
    return int((within_ms - best.finish_ms) / max(best.marginal_ms, 0.01))


def _behind(best: Candidate, used: int) -> Candidate:
    """What is predicted of a candidate behind `used` more like this."""
    more_ms = used * best.marginal_ms
    return best._replace(queue_ms=best.queue_ms + more_ms, finish_ms=best.finish_ms + more_ms)


def _kind(demand: Demand) -> Kind:
    want = demand.want
    return (
        want.task, want.architecture, want.variant, demand.budget_ms, want.percentile,
        want.min_accuracy, want.max_cost_usd, demand.rows, demand.in_bytes, demand.out_bytes,
        demand.tiers, demand.hops,
    )  # fmt: skip
