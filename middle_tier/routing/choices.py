"""Pure. Who is left to ask for one query: the scheduler's plans, less those who said no."""

from collections.abc import Callable, Sequence

from middle_tier.routing.refusals import NODE_WIDE, Findings
from middle_tier.scheduler.types import Candidate, Demand, Plan
from protocol.messages import Refusal

PRESSING = 2
"""Refusals after which nobody is asked who would have to let it pass."""


Left = tuple[Sequence[Candidate], Sequence[Candidate], Sequence[Candidate], Sequence[Candidate]]
"""Who may be asked: in time; in time where what is due later waits for them, or if its tenant is
within its share there; and late, if the policy says so. All but the first only when that is empty.
"""


class Choices:
    """The mutable state is who was ruled out, and what was learnt of why."""

    __slots__ = ("_again", "_demand", "_found", "_plan", "_refused", "_tried")

    def __init__(self, plan: Callable[[Demand], Plan], demand: Demand) -> None:
        self._plan = plan
        self._demand = demand
        self._again = False
        """The first plan is made of the demand as it came."""
        self._tried: frozenset[tuple[str, str]] = frozenset()
        self._refused: frozenset[tuple[str, str, str]] = frozenset()
        self._found: Findings | None = None
        """Most queries need none."""

    @property
    def found(self) -> Findings:
        """What was learnt of why."""
        if self._found is None:
            self._found = Findings()
        return self._found

    @property
    def rows(self) -> int:
        return self._demand.rows

    @property
    def demand(self) -> Demand:
        """As it came: the whole objective, nobody ruled out."""
        return self._demand

    @property
    def may_leave(self) -> bool:
        """Whether another site may have its tensors."""
        permit = self._demand.permit
        return permit is None or permit.leave_site

    @property
    def nbytes(self) -> int:
        """Of its tensors, there and back."""
        return self._demand.in_bytes + self._demand.out_bytes

    def ranked(self, budget_ms: float) -> Left:
        """Those that make the budget, the best first; else those that may or would not."""
        demand = self._demand
        if self._again:
            demand = demand._replace(budget_ms=budget_ms, tried=self._tried)
        self._again = True
        plan = self._plan(demand)
        found = self._left(plan)
        if self._refused and not any(found) and _any(plan):
            # A plan draws a few nodes of a class; it drew only refusers: draw among the others.
            refusers = {(site, node) for _, site, node in self._refused}
            plan = self._plan(demand._replace(tried=demand.tried | refusers))
            found = plan.ranked, (), (), plan.fallback
        if not plan.ranked:
            self.found.plan(plan)
        return found

    def beside(self, candidate: Candidate, budget_ms: float) -> Candidate | None:
        """The best that makes the budget on another node than this one's, to be asked as well."""
        tried = self._tried | {(candidate.site, candidate.node)}
        plan = self._plan(self._demand._replace(budget_ms=budget_ms, tried=tried))
        return next((each for each in plan.ranked if not self._has_refused(each)), None)

    def instead(self, late: Sequence[Candidate], worth: Candidate | None) -> Sequence[Candidate]:
        """Whom to ask late where it takes a load: what is worth one, unless that was asked."""
        if worth is None or self._has_refused(worth) or (worth.site, worth.node) in self._tried:
            return late
        return (worth,)

    def rule_out(self, candidate: Candidate) -> None:
        """Its node is not to be asked again."""
        self._tried |= {(candidate.site, candidate.node)}

    def refused(self, candidate: Candidate | None, refusal: Refusal) -> None:
        """Remember a refusal: it rules out the node, or only this variant there."""
        self.found.refusal(refusal, candidate.link_ms if candidate else 0.0)
        if candidate is None:
            return
        if candidate.scope == "site" or refusal.reason in NODE_WIDE:
            self.rule_out(candidate)
        else:
            self._refused |= {(candidate.variant, candidate.site, candidate.node)}

    def _left(self, plan: Plan) -> Left:
        pressing = len(self._refused) < PRESSING
        pressed, within = (plan.pressed, plan.within) if pressing else ((), ())
        if not self._refused:
            return plan.ranked, pressed, within, plan.fallback
        return (
            self._willing(plan.ranked),
            self._willing(pressed),
            self._willing(within),
            self._willing(plan.fallback),
        )

    def _willing(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return [each for each in candidates if not self._has_refused(each)]

    def _has_refused(self, candidate: Candidate) -> bool:
        return (candidate.variant, candidate.site, candidate.node) in self._refused


def _any(plan: Plan) -> bool:
    """Whether it names anybody."""
    return bool(plan.ranked or plan.pressed or plan.within or plan.fallback)
