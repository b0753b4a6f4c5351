"""A pursuit that thinks twice, where the policy says so: it hedges, and it escalates.

* Hedge: the node asked is late, and may still be in time. A second one is asked beside it; the
  first answer wins, the other is cancelled. Unlike giving up, this rules nobody out.
* Escalate: an edge answer is unsure of itself. It is held, and the same query is asked anew with
  more accuracy wanted and what is left of the objective. Whatever goes wrong with that, or does not
  come in time, the held answer is given. The caller gets one answer, and pays for both runs.

Each is done for at most its share of all queries.
"""

from functools import partial
from math import nextafter

from middle_tier.routing.asks import Buffers, Sent
from middle_tier.routing.choices import Choices
from middle_tier.routing.confidence import confidence
from middle_tier.routing.means import Means
from middle_tier.routing.outcome import Outcome, Told
from middle_tier.routing.pursuit import LATE_S, Pursuit
from middle_tier.routing.wording import handed_back
from middle_tier.scheduler.patience import patience_ms
from middle_tier.scheduler.types import Demand, Plan
from protocol.errors import MeshError
from protocol.messages import Answer, Query, Refusal


class SecondThoughts(Pursuit):
    """Beside a pursuit's state: whom the hedge stands beside, and the answer that is held."""

    __slots__ = ("_first", "_held", "_held_buffers", "_patient_until", "_stale")

    def __init__(self, means: Means, query: Query, buffers: Buffers, demand: Demand) -> None:
        super().__init__(means, query, buffers, demand)
        self._first: Sent | None = None
        self._patient_until = 0.0
        """Patience lasts until then, and the alarm rings for a hedge; 0: for something else."""
        self._held: Answer | None = None
        self._held_buffers: Buffers = ()
        self._stale: tuple[Sent, ...] = ()
        """Asked before the escalation: what they say now is not wanted."""

    def begin(self, told: Told) -> None:
        self._means.hedges.earn()
        self._means.escalations.earn()
        super().begin(told)

    # Hedging.

    def _wait_until(self, at: float) -> None:
        self._patient_until = 0.0
        late_at = self._late_at()
        if late_at is not None and late_at < at:
            self._patient_until, at = at, late_at
        super()._wait_until(at)

    def _late_at(self) -> float | None:
        """When the one that was asked will be late; None: it cannot be hedged, or is late."""
        sent, hedge = self._current, self._means.policy.hedge
        if sent is None or sent.candidate is None or self._first is not None or not hedge.share:
            return None
        wanted = self._query.want.percentile
        late_ms = self._means.late.ms(sent.candidate, sent.rows, wanted, hedge.after_percentile)
        at = sent.at + late_ms / 1000.0
        return at if at > self._means.clock.now() else None

    def _ring(self) -> None:
        patient_until, self._patient_until = self._patient_until, 0.0
        if not patient_until:
            super()._ring()
        elif self._current is None or not self._hedge(self._current):
            super()._wait_until(patient_until)

    def _hedge(self, first: Sent) -> bool:
        """Ask a second node that would be in time, if there is one."""
        now = self._means.clock.now()
        left_ms = (self._objective_at - now) * 1000.0
        if first.candidate is None or left_ms <= 0 or not self._means.hedges.spend():
            return False
        candidate = self._choices.beside(first.candidate, left_ms)
        if candidate is None:
            self._means.hedges.give_back()
            return False
        self._means.counts["hedged"] += 1
        self._first = first
        self._ask(candidate, left_ms, (self._deadline_at - now) * 1000.0)
        patient_s = patience_ms(candidate, None, left_ms) / 1000.0
        super()._wait_until(min(now + patient_s, self._deadline_at))
        return True

    def _returned(self, sent: Sent) -> None:
        super()._returned(sent)
        if self._current is None and self._first in self._out:
            self._current = self._first  # the hedge came to nothing: the first is still expected

    # Escalating.

    def _answer(self, sent: Sent, answer: Answer, buffers: Buffers) -> None:
        if sent in self._stale:
            return
        if self._held is None and self._unsure(sent, answer, buffers):
            better = self._better(sent)
            if better is not None and self._means.escalations.spend():
                self._escalate(
                    better, handed_back(self._query, answer, sent.candidate, 0.0), buffers
                )
                return
        super()._answer(sent, answer, buffers)

    def _refuse(self, sent: Sent, refusal: Refusal) -> None:
        if sent not in self._stale:
            super()._refuse(sent, refusal)

    def _unsure(self, sent: Sent, answer: Answer, buffers: Buffers) -> bool:
        """Whether it is an edge answer under the threshold, of a variant of known accuracy."""
        policy, candidate = self._means.policy.escalate, sent.candidate
        if not policy.share or answer.tier != "edge" or candidate is None:
            return False
        if candidate.variant != answer.variant or self._query.want.variant is not None:
            return False
        sure = confidence(answer, buffers)
        return sure is not None and sure < policy.below

    def _better(self, sent: Sent) -> Demand | None:
        """The demand for something more accurate in what is left; None: nobody has that."""
        candidate, want = sent.candidate, self._query.want
        left_ms = (self._objective_at - self._means.clock.now()) * 1000.0
        left_ms *= self._means.policy.headroom
        if candidate is None or left_ms <= 0:
            return None
        changes: dict[str, object] = {"min_accuracy": nextafter(candidate.accuracy, 2.0)}
        if want.max_cost_usd is not None:
            changes["max_cost_usd"] = max(0.0, want.max_cost_usd - candidate.cost_usd)
        changes["latency_ms"] = left_ms
        demand = self._choices.demand._replace(want=want.but(**changes), budget_ms=left_ms)
        above = self._means.parent is not None and not self._gone_up
        return demand if above or self._means.plan(demand).ranked else None

    def _escalate(self, demand: Demand, answer: Answer, buffers: Buffers) -> None:
        """Hold the answer, and begin anew with what is left."""
        means, now = self._means, self._means.clock.now()
        means.counts["escalated"] += 1
        self._held, self._held_buffers = answer, buffers
        self._stale, self._out = tuple(self._out), []
        for sent in self._stale:
            means.outbox.cancel(sent)
            means.alarms.set(self._deadline_at + LATE_S, partial(self._forget, sent))
        self._current = None
        self._query = self._query.but(want=demand.want)
        self._choices = Choices(partial(_in_time, means), demand)
        self._objective_at = self._deadline_at = now + demand.budget_ms / 1000.0
        self._tries, self._failed = 0, False
        self._onward()

    def _fail(self, error: MeshError) -> None:
        if self._held is None:
            super()._fail(error)
            return
        self._means.counts["answered"] += 1
        held, self._held = self._held, None
        self._end(Outcome(held, self._held_buffers))

    def _end(self, outcome: Outcome) -> None:
        held, answer = self._held, outcome.answer
        if held is not None and answer is not None:
            both = held.cost_usd + answer.cost_usd
            predicted_ms = held.predicted_ms + answer.predicted_ms
            answer = answer.but(cost_usd=both, predicted_ms=predicted_ms)
            outcome = Outcome(answer, outcome.buffers)
        super()._end(outcome)


def _in_time(means: Means, demand: Demand) -> Plan:
    """A plan of those in time only: who would be late is no better than the answer in hand."""
    return means.plan(demand)._replace(fallback=())
