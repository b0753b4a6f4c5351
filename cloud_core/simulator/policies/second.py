"""A query that may be asked a second time, as `middle_tier.routing.second` has it, on stepped time.

* Hedge: whoever was asked is late, and may still be in time: another is asked beside, and the first
  answer wins.
* Escalate: an answer from the edge is unsure of itself, and is held while the same is asked anew
  with more accuracy wanted, in what is left. Nothing is run here, so nobody knows how sure an
  answer is: it is drawn for each query, such that answers of a variant are as sure as it is
  accurate (`sureness`).
"""

from functools import partial
from math import nextafter

from cloud_core.simulator.node import Told
from cloud_core.simulator.policies.pursuit import Chase, Ends, Router, Up
from cloud_core.simulator.world import Query, Trip
from middle_tier.routing.choices import Choices
from middle_tier.scheduler.patience import patience_ms
from middle_tier.scheduler.types import Candidate, Demand, Plan
from protocol.messages import Refusal
from protocol.types import Tier  # noqa: TC001  # TYPE_CHECKING would hide cycles

GOLDEN = 0.6180339887498949
"""Steps of it (of 1) come evenly near all numbers: draws that need no generator."""


def sureness(accuracy: float, number: int) -> float:
    """Return how sure of itself a variant's answer to a query is, by the query's number.

    Between 0 and 1, and in the mean over queries as much as the variant's accuracy: as of a
    classifier whose confidence can be believed. What is hard for one variant is hard for all.
    """
    if accuracy <= 0.0:
        return 0.0
    drawn = (number + 1) * GOLDEN % 1.0
    return float(drawn ** ((1.0 - accuracy) / accuracy))


class SecondChase(Chase):
    """Beside a chase's state: whom the hedge stands beside, and the answer that is held."""

    __slots__ = ("first", "held", "patient_until", "stale")

    def __init__(self, site: Router, query: Query, demand: Demand, ends: Ends) -> None:
        super().__init__(site, query, demand, ends)
        self.first: Trip | None = None
        self.patient_until = 0.0
        self.held: tuple[Told, Tier] | None = None
        self.stale: tuple[Trip | Up, ...] = ()
        """Asked before the escalation: what they say now is not wanted."""

    def begin(self) -> None:
        self.site.hedges.earn()
        self.site.escalations.earn()
        super().begin()

    # -- hedging ---------------------------------------------------------------------------------

    def _be_patient(self, candidate: Candidate, seconds: float) -> None:
        trip, now, late_s = self.current, self.world.now, self._late_s(candidate)
        if not isinstance(trip, Trip) or self.first is not None or not 0 < late_s < seconds:
            super()._be_patient(candidate, seconds)
            return
        self.patient_until = now + seconds
        self.world.at(now + late_s, partial(self._late, trip, candidate, seconds))

    def _late_s(self, candidate: Candidate) -> float:
        """After how long the one that was asked is late; 0: it is not to be hedged."""
        hedge, wanted = self.site.mesh.rules.hedge, self.demand.want.percentile
        if not hedge.share:
            return 0.0
        late_ms = self.site.late.ms(candidate, self.choices.rows, wanted, hedge.after_percentile)
        return late_ms / 1e3

    def _late(self, trip: Trip, candidate: Candidate, seconds: float) -> None:
        if self.ended or self.current is not trip:
            return
        now, ring_at = self.world.now, self.patient_until
        left_ms = (self.objective_at - now) * 1e3
        second = self._second(candidate, left_ms)
        if second is not None:
            self.first = trip
            self.site.mesh.counts["hedged"] += 1
            self._ask(second, left_ms)
            patient_s = patience_ms(second, None, left_ms) / 1e3
            super()._be_patient(second, patient_s)
            ring_at = now + patient_s  # should the second have come to nothing by then
        self.world.at(ring_at, partial(self._ring, trip, candidate, seconds))

    def _second(self, candidate: Candidate, left_ms: float) -> Candidate | None:
        """Return another node that would be in time, if there is one."""
        if left_ms <= 0 or not self.site.hedges.spend():
            return None
        second = self.choices.beside(candidate, left_ms)
        if second is None:
            self.site.hedges.give_back()
        return second

    def _unless_waiting(self, trip: object) -> None:
        if self.current is trip and self.first in self.out:
            self.current = self.first  # the hedge came to nothing: the first is still expected
            return
        super()._unless_waiting(trip)

    # -- escalating ------------------------------------------------------------------------------

    def _returned(self, back: Trip | Up) -> None:
        if back not in self.stale:
            super()._returned(back)

    def _refused(self, candidate: Candidate, refusal: Refusal, trip: Trip) -> None:
        if trip not in self.stale:
            super()._refused(candidate, refusal, trip)

    def _answered(self, candidate: Candidate, told: Told, trip: Trip) -> None:
        if trip in self.stale:
            return
        if not self.ended and self.held is None and self._unsure(told, trip):
            better = self._better(candidate)
            if better is not None and self.site.escalations.spend():
                self._escalate(better, told, trip)
                return
        super()._answered(candidate, told, trip)

    def _unsure(self, told: Told, trip: Trip) -> bool:
        """Whether it is an edge answer under the threshold; known of classifiers only."""
        policy, task = self.site.mesh.rules.escalate, self.world.scenario.tasks[self.query.task]
        if not policy.share or trip.node.kind.tier != "edge" or task.metric != "top1_pct":
            return False
        if self.demand.want.variant is not None:
            return False
        return sureness(told.accuracy, self.query.number) < policy.below

    def _better(self, candidate: Candidate) -> Demand | None:
        """The demand for something more accurate in what is left; None: nobody has that."""
        want = self.demand.want
        left_ms = (self.objective_at - self.world.now) * 1e3 * self.site.mesh.rules.headroom
        if left_ms <= 0:
            return None
        changes: dict[str, object] = {
            "min_accuracy": nextafter(candidate.accuracy, 2.0),
            "latency_ms": left_ms,
        }
        if want.max_cost_usd is not None:
            changes["max_cost_usd"] = max(0.0, want.max_cost_usd - candidate.cost_usd)
        demand = self.demand._replace(want=want.but(**changes), budget_ms=left_ms)
        above = self.site.above is not None and not self.gone_up
        return demand if above or self.site.plan(demand).ranked else None

    def _escalate(self, demand: Demand, told: Told, trip: Trip) -> None:
        """Hold the answer, and begin anew with what is left."""
        self.site.mesh.counts["escalated"] += 1
        self.held = told, trip.node.kind.tier
        self.stale, self.out = tuple(self.out), []
        for each in self.stale:
            each.cancel()
        self.current, self.demand = None, demand
        self.choices = Choices(partial(_in_time, self.site), demand)
        self.objective_at = self.deadline_at = self.world.now + demand.budget_ms / 1e3
        self.tries, self.failed = 0, False
        self.world.at(self.deadline_at, self._over)
        self._onward()

    def _over(self) -> None:
        """What is left has passed."""
        if not self.ended:
            self._fail()

    def _fail(self) -> None:
        if self.held is None:
            super()._fail()
        else:
            self._give(*self.held)


def _in_time(site: Router, demand: Demand) -> Plan:
    """A plan of those in time only: who would be late is no better than the answer in hand."""
    return site.plan(demand)._replace(fallback=())
