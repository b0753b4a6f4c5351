"""`mesh`: what a running mesh does. View, planner, choices and warm-up are the mesh's own code.

A router stands at every place where queries enter, and one with the parent. What it is told of its
nodes is in `adverts`, what becomes of one query in `pursuit`.
"""

from collections import Counter
from itertools import count
from math import inf
from time import thread_time_ns
from typing import Literal

from cloud_core.simulator.node import Node, Told
from cloud_core.simulator.places import Place
from cloud_core.simulator.policies.adverts import Advertising
from cloud_core.simulator.policies.pursuit import Chase, Ends
from cloud_core.simulator.policies.second import SecondChase
from cloud_core.simulator.scenario import BORDERS
from cloud_core.simulator.world import KB, Query, World
from middle_tier.routing.allowance import Allowance, strict
from middle_tier.routing.below import Below
from middle_tier.routing.lateness import Lateness
from middle_tier.routing.orders import AGAIN_S, is_due
from middle_tier.routing.recent import Recent
from middle_tier.scheduler.plan import choose, choose_again
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy
from middle_tier.scheduler.warmth import worth_loading
from middle_tier.uplink import Parent
from middle_tier.view import View
from protocol.messages import Missed, Reach, Want
from protocol.types import Tier

NOTHING = Plan((), {})
TIMED = 7
"""Of so many decisions one is timed: asking for CPU time twice takes a tenth of a decision."""

PAUSE_S = 5.0
"""Misses further apart than this are no spell."""

PING_S = 1.0
"""How old what is known of the way to the parent may be: as `uplink` pings."""


CERTAIN = 0.1
"""Share of a start's time for which misses must have lasted: a cold start is over by then."""


class Spell:
    """How many queries have been missing something, without a pause.

    Starting a node takes `start_s` and rents it for longer. So it is worth it once as many were
    missed as one a second and site in so long: were there no more of them, one that had been
    started at the first would be there now. Where many are missed waiting only misses more.
    """

    def __init__(self) -> None:
        self._first = self._last = -inf
        self._count = 0

    def lasts(self, seconds: float, now: float, *, sites: int = 1) -> bool:
        """Note a miss; return whether there have been enough for a start that takes so long."""
        if now - self._last > PAUSE_S:
            self._first, self._count = now, 0
        self._last = now
        self._count += 1
        return self._count >= seconds * sites and now - self._first >= CERTAIN * seconds


class Site:
    """What a router is made of, but for its bus: the view, plans of late, orders given."""

    def __init__(self, mesh: "Mesh", place: Place, parent: "Site | None") -> None:
        self.mesh = mesh
        self.place = place
        self.parent = parent
        self.view = View(place.site, tier=place.tier)
        self.members = {(node.site, node.name): node for node in place.nodes}
        self.allowance = Allowance()
        self.hedges = strict(mesh.rules.hedge.share)
        self.escalations = strict(mesh.rules.escalate.share)
        self.late = Lateness(self.view.table)
        self.recent = Recent(self._choose, self._choose_again)
        self._seeds = count(mesh.world.scenario.seed + 1)
        self._orders: dict[str, float] = {}
        self.above: Parent | None = None
        if parent is not None:
            self.above = Parent("cloud", lambda: True, here=place.site)
        self._pinged = -inf
        self._below = Below(self.view, mesh, self.warm_up)
        self._spell = Spell()

    def chase(self, query: Query, demand: Demand, ends: Ends) -> Chase:
        """Return what has a query answered here, once it is told to begin."""
        return self.mesh.chase(self, query, demand, ends)

    def plan(self, demand: Demand) -> Plan:
        mesh = self.mesh
        mesh.decisions += 1
        if mesh.decisions % TIMED:
            return self.recent.plan(demand, mesh.world.now)
        start = thread_time_ns()
        plan = self.recent.plan(demand, mesh.world.now)
        mesh.decision_ns.append(thread_time_ns() - start)
        return plan

    def _choose(self, demand: Demand) -> Plan:
        if demand.want.task not in self.view.tasks:
            return NOTHING
        groups, now = self.view.groups(demand.want.task), self.mesh.world.now
        plan = choose(demand, groups, self.mesh.rules, now=now, seed=next(self._seeds))
        self.view.table.tolls.note(plan.crowded, now)
        return plan

    def _choose_again(self, demand: Demand, plan: Plan) -> Plan | None:
        groups, now = self.view.groups(demand.want.task), self.mesh.world.now
        return choose_again(demand, groups, self.mesh.rules, plan, now=now, seed=next(self._seeds))

    def worth(self, demand: Demand) -> Candidate | None:
        """What would have met a query, had it been warm."""
        if demand.want.task not in self.view.tasks:
            return None
        return worth_loading(
            demand, self.view.groups(demand.want.task), self.mesh.rules,
            now=self.mesh.world.now, seed=next(self._seeds),
        )  # fmt: skip

    def warm_up(self, demand: Demand) -> Candidate | None:
        """Have that loaded: as the router orders it."""
        found, now = self.worth(demand), self.mesh.world.now
        if found is not None and is_due(self._orders.get(found.variant), now):
            node = self.members[found.site, found.node]
            sites = len(self.mesh.sites) if self.parent is None else 1
            if node.on or self._spell.lasts(node.kind.fleet.start_s, now, sites=sites):
                fits = node.load(node.holding(found.variant))
                # One that would not is no reason to wait with another.
                self._orders[found.variant] = now if fits else now - AGAIN_S
        return found

    def could(self, demand: Demand, budget_ms: float) -> bool:
        """Whether the parent may have something: by what it said with the last ping."""
        above, parent, now = self.above, self.parent, self.mesh.world.now
        if above is None or parent is None:
            return False
        if now - self._pinged >= PING_S:
            self._pinged = now
            parent.hear(above.missed(), self.place.site)
            above.reach = parent.told(self.place.site)
        return above.refusal(demand, budget_ms) is None

    def told(self, site: str) -> tuple[Reach, ...]:
        return self._below.reach(self.mesh.rules, site)

    def hear(self, missed: tuple[Missed, ...], site: str) -> None:
        self._below.missed(missed, site)

    def away_ms(self, query: Query, nbytes: float) -> float | None:
        """What going up and back takes by the last ping; None when it is known to be cut."""
        world = self.mesh.world
        borders = world.network.borders(self.place.tier, "cloud")
        heard = max(0.0, world.now - PING_S)
        if world.network.cut(borders, heard) and world.network.cut(borders, world.now):
            return None
        return 1e3 * world.network.one_way_s(
            borders, query.place.index, nbytes, now=heard
        ) + 0.5 * sum(world.network.parts[border].rtt_ms for border in borders)


class Mesh:
    """Every router of the mesh; and the clock of them all."""

    def __init__(self, world: World, rules: Policy | None = None) -> None:
        self.world = world
        self.rules = rules if rules is not None else default_rules(world)
        twice = bool(self.rules.hedge.share or self.rules.escalate.share)
        self.chase: type[Chase] = SecondChase if twice else Chase
        self.redraws = rules is not None
        """Whether who is asked again is as lucky as chance has it, and not as the first was: as it
        is in truth. Not beside rivals and the oracle, which bounds one draw for each query."""
        self.decisions = 0
        self.counts: Counter[str] = Counter()
        """hedged, escalated."""
        self.decision_ns: list[int] = []
        """Of one in `TIMED`."""
        self.top = Site(self, world.parent, None)
        self.sites = [
            Site(self, place, None if place.tier == "cloud" else self.top) for place in world.places
        ]
        self._demands = [
            {name: self._demand(name, at) for name in world.tasks}
            for at in range(len(world.scenario.wants))
        ]
        """One object for all that are alike: what was worked out of it is found again by it."""
        self._advertising = Advertising(world, [self.top, *self.sites])

    def __repr__(self) -> str:
        return f"<Mesh of {len(self.sites)} routers | {self.decisions} decisions>"

    def now(self) -> float:
        return self.world.now

    def _demand(self, task: str, at: int) -> Demand:
        want, part = self.world.scenario.wants[at], self.world.scenario.tasks[task]
        said = Want(
            task=task,
            latency_ms=want.latency_ms,
            percentile=want.percentile,
            min_accuracy=want.min_accuracy / 100.0,
            max_cost_usd=want.max_cost_usd,
        )
        return Demand(said, want.latency_ms, 1, int(part.input_kb * KB), int(part.output_kb * KB))

    def demand(self, query: Query) -> Demand:
        return self._demands[query.want][query.task]

    def arrived(self, query: Query) -> None:
        ends = _Ends(self.world, query)
        self.chase(self.sites[query.place.index], query, self.demand(query), ends).begin()

    def changed(self, node: Node) -> None:
        self._advertising.changed(node)


class _Ends:
    """Where a query's chase ends at the place where it entered: with the caller."""

    def __init__(self, world: World, query: Query) -> None:
        self._world = world
        self._query = query

    def answered(self, told: Told, tier: Tier) -> None:
        self._world.answered(self._query, told, tier)

    def refused(self) -> None:
        self._world.refused(self._query)


def default_rules(world: World, on_miss: Literal["refuse", "fastest"] = "fastest") -> Policy:
    """Return the policy that a scenario implies: its link prices, and that nothing is refused.

    As no rival refuses what some node could run.
    """
    prices = {
        border: world.network.parts[border].usd_per_gb
        for border in BORDERS
        if world.network.parts[border].usd_per_gb
    }
    return Policy(usd_per_gb=prices, on_miss=on_miss)
