"""One query on its way through the mesh, as `middle_tier.routing.pursuit` has it, on stepped time.

1. the best candidate here that makes the objective; 2. the parent, with what is left; 3. by policy
the fastest; 4. once somebody who had taken it was given up: again, with the deadline as budget.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from cloud_core.simulator.node import No, Node, Told
from cloud_core.simulator.places import Place
from cloud_core.simulator.traces import drawn_again
from cloud_core.simulator.world import Query, Trip, World
from middle_tier.routing.allowance import Allowance
from middle_tier.routing.choices import Choices
from middle_tier.routing.lateness import Lateness
from middle_tier.routing.recent import Recent
from middle_tier.scheduler.patience import patience_ms
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy
from middle_tier.uplink import Parent
from middle_tier.view import View
from protocol.messages import Answer, Refusal
from protocol.types import Tier


class Shared(Protocol):
    """What all routers share."""

    @property
    def world(self) -> World: ...
    @property
    def rules(self) -> Policy: ...
    @property
    def counts(self) -> Counter[str]: ...
    @property
    def redraws(self) -> bool: ...


class Router(Protocol):
    """What a chase needs of the router that it runs at."""

    place: Place
    view: View
    members: dict[tuple[str, str], Node]
    allowance: Allowance
    hedges: Allowance
    escalations: Allowance
    above: Parent | None
    recent: Recent
    late: Lateness

    @property
    def mesh(self) -> Shared: ...
    @property
    def parent(self) -> "Router | None": ...
    def chase(self, query: Query, demand: Demand, ends: "Ends") -> "Chase": ...
    def plan(self, demand: Demand) -> Plan: ...
    def worth(self, demand: Demand) -> Candidate | None: ...
    def warm_up(self, demand: Demand) -> Candidate | None: ...
    def could(self, demand: Demand, budget_ms: float) -> bool: ...
    def away_ms(self, query: Query, nbytes: float) -> float | None: ...


class Ends(Protocol):
    """Who hears of the end."""

    def answered(self, told: Told, tier: Tier) -> None: ...
    def refused(self) -> None: ...


@dataclass(slots=True, eq=False)
class Chase:
    """The mutable state is who is left, what is out, and how it stands."""

    site: Router
    query: Query
    demand: Demand
    ends: Ends
    objective_at: float = 0.0
    tries: int = 0
    gone_up: bool = False
    failed: bool = False
    ended: bool = False
    out: "list[Trip | Up]" = field(default_factory=list)
    """To nodes of this site and to the parent, and not back."""
    current: object = None
    deadline_at: float = field(init=False)
    world: World = field(init=False)
    choices: Choices = field(init=False)

    def __post_init__(self) -> None:
        self.world = self.site.mesh.world
        self.choices = Choices(self.site.plan, self.demand)
        self.objective_at = self.world.now + self.demand.budget_ms / 1e3
        self.deadline_at = self.query.deadline_at

    def begin(self) -> None:
        self.site.allowance.earn()
        if self.site.above is not None:
            self.site.above.borne.earn()
        self._onward()

    def _onward(self) -> None:
        now = self.world.now
        left_ms = (self.objective_at - now) * 1e3
        until_ms = (self.deadline_at - now) * 1e3
        if until_ms > 0 and self.tries < self.site.mesh.rules.tries:
            fresh = self.tries == 0 and not self.failed
            if (left_ms > 0 or fresh) and self._ask_someone(left_ms, until_ms):
                return
            lost = self.failed or (left_ms <= 0 and not fresh)
            if lost and self._ask_someone(until_ms, until_ms):
                return
        if not self.out:
            self._fail()

    def _fail(self) -> None:
        self._end()
        self.ends.refused()

    def _ask_someone(self, budget_ms: float, until_ms: float) -> bool:
        ranked, pressed, _, late = self.choices.ranked(budget_ms)
        if not ranked:
            gone_up = not pressed and self._ask_parent(budget_ms)
            if not (gone_up or pressed) and late and not late[0].warm:
                late = self.choices.instead(late, self.site.worth(self.choices.demand))
            if gone_up or pressed or not late or late[0].warm or late[0].finish_ms > until_ms:
                self.site.warm_up(self.choices.demand)
            if gone_up:
                return True
        ranked = ranked or pressed or late
        if not ranked:
            return False
        next_ms = ranked[1].finish_ms if len(ranked) > 1 else None
        self._ask(ranked[0], budget_ms)
        self._be_patient(ranked[0], patience_ms(ranked[0], next_ms, budget_ms) / 1e3)
        return True

    def _ask(self, candidate: Candidate, budget_ms: float) -> None:
        world, site = self.world, self.site
        again = self.tries > 0 and site.mesh.redraws
        self.tries += 1
        site.view.sent(candidate, 1, world.now)
        away_ms = candidate.link_ms + candidate.transfer_ms
        node = site.members[candidate.site, candidate.node]
        sent_at = world.now
        left_ms = (self.query.objective_at - sent_at) * 1e3  # the budget may be the deadline's
        world.records.promised[self.query.number] = candidate.finish_ms <= min(budget_ms, left_ms)
        self.current = trip = Trip(
            world, self.query, node, candidate.variant, site.place.tier,
            partial(self._heard, candidate, sent_at),
            strict=True, budget_ms=max(0.001, budget_ms - away_ms),
            late=candidate.finish_ms > budget_ms, deadline_at=self.deadline_at,
            draw=drawn_again(self.query.number, self.tries) if again else None,
        )  # fmt: skip
        self.out.append(trip)
        trip.begin()

    def _heard(self, candidate: Candidate, sent_at: float, trip: Trip, told: Told | No) -> None:
        now = self.world.now
        self._returned(trip)
        if isinstance(told, str):
            queue_ms = trip.node.queue_ms(now)
            refusal = Refusal(id="q", reason=told, queue_ms=queue_ms)
            self.site.view.refused(candidate, refusal, now)
            if not self.ended:
                self._refused(candidate, refusal, trip)
            return
        answer = _answer(trip.node, told)
        self.site.view.observed(candidate, answer, (now - sent_at) * 1e3, now)
        self._answered(candidate, told, trip)

    def _returned(self, back: "Trip | Up") -> None:
        self.out.remove(back)

    def _refused(self, candidate: Candidate, refusal: Refusal, trip: Trip) -> None:
        self.site.recent.forget()
        self.choices.refused(candidate, refusal)
        self._unless_waiting(trip)

    def _answered(self, candidate: Candidate, told: Told, trip: Trip) -> None:
        """By a candidate: which of them matters to those who think twice."""
        del candidate
        self._give(told, trip.node.kind.tier)

    def _give(self, told: Told, tier: Tier) -> None:
        if not self.ended:
            self._end()
            self.ends.answered(told, tier)

    def _end(self) -> None:
        self.ended = True
        self.current = None
        if self.out:  # mostly it was the only one
            for each in tuple(self.out):
                each.cancel()

    def _unless_waiting(self, trip: object) -> None:
        if self.current is trip:
            self.current = None
        if self.current is None:
            self._onward()

    # -- a node that is silent -----------------------------------------------------------------

    def _be_patient(self, candidate: Candidate, seconds: float) -> None:
        if self.ended or self.current is None:
            return
        trip = self.current
        self.world.at(self.world.now + seconds, partial(self._ring, trip, candidate, seconds))

    def _ring(self, trip: object, candidate: Candidate, seconds: float) -> None:
        if self.ended or self.current is not trip or self.world.now >= self.deadline_at:
            return
        if not self.site.allowance.spend():
            again = partial(self._ring, trip, candidate, 2 * seconds)
            self.world.at(self.world.now + seconds, again)
            return
        self.site.recent.forget()
        self.failed = True
        self.choices.rule_out(candidate)
        self.current = None
        self._onward()

    # -- the parent ----------------------------------------------------------------------------

    def _ask_parent(self, budget_ms: float) -> bool:
        """Hand the query up, unless the parent has had it or could not answer in time."""
        top, world, demand = self.site.parent, self.world, self.demand
        if top is None or self.gone_up:
            return False
        away_ms = self.site.away_ms(self.query, demand.in_bytes + demand.out_bytes)
        if away_ms is None or budget_ms <= away_ms:
            return False
        if not self.site.could(self.choices.demand, budget_ms - away_ms):
            return False
        self.gone_up = True
        self.tries += 1
        self.current = up = Up(self, budget_ms - away_ms)
        self.out.append(up)
        world.carry(self.query, (self.site.place.tier, "cloud"), demand.in_bytes, up.arrive)
        return True

    def up_answered(self, up: "Up", told: Told, tier: Tier) -> None:
        self._returned(up)
        self._give(told, tier)

    def up_refused(self, up: "Up") -> None:
        self._returned(up)
        if not self.ended:
            self._unless_waiting(up)


class Up:
    """A query at the parent: it chases there, and what comes of it goes down again."""

    def __init__(self, below: Chase, budget_ms: float) -> None:
        self._below = below
        self._budget_ms = budget_ms

    def arrive(self) -> None:
        below = self._below
        top = below.site.parent
        if top is None:
            return
        demand = below.demand
        handed = demand._replace(
            budget_ms=self._budget_ms,
            hops=(below.site.place.site,),
        )
        top.chase(below.query, handed, self).begin()

    def cancel(self) -> None:
        """It is chased on: whoever waits no more hears nothing of it."""

    def answered(self, told: Told, tier: Tier) -> None:
        self._down(self._below.demand.out_bytes, partial(self._below.up_answered, self, told, tier))

    def refused(self) -> None:
        self._down(0, partial(self._below.up_refused, self))

    def _down(self, nbytes: int, then: Callable[[], None]) -> None:
        below = self._below
        below.world.carry(below.query, ("cloud", below.site.place.tier), nbytes, then)


def _answer(node: Node, told: Told) -> Answer:
    """Return what the node says, unchecked: a check of each would take longer than the run."""
    return Answer(
        id="q", variant=told.variant, architecture=told.variant, node=node.name, site=node.site,
        tier=node.kind.tier, outputs=(), run_ms=told.run_ms, held_ms=told.held_ms,
        batch=told.batch, cold=told.cold, queue_ms=told.queue_ms,
    )  # fmt: skip
