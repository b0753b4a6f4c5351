"""The stepped clock and all that happens on it: arrivals, travel, runs; and who is told.

It decides nothing about queries: a policy (`policies`) does. The same arrivals, draws, links and
faults for every policy, by the scenario's seed.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import count
from math import inf
from typing import Protocol

import numpy as np

from cloud_core.simulator.kinds import Kind, a_task, an_ask
from cloud_core.simulator.ledger import ledger
from cloud_core.simulator.network import BETWEEN, Network
from cloud_core.simulator.node import Job, No, Node, Told
from cloud_core.simulator.places import Place, places
from cloud_core.simulator.records import Records
from cloud_core.simulator.scenario import TIERS, Scenario
from cloud_core.simulator.tables import Kit
from cloud_core.simulator.traces import Arrivals, arrivals
from protocol.types import Tier

DEADLINE_FACTOR, DEADLINE_LEAST_MS = 4.0, 1000.0
"""The hard deadline of a query that names none (DESIGN 4.2)."""

KB = 1000.0

Progress = Callable[[float], None]


@dataclass(slots=True, eq=False)
class Query:
    """One query on its way."""

    number: int
    task: str
    place: Place
    want: int
    draw: float
    at: float
    objective_at: float
    deadline_at: float
    done: bool = False


class Policy(Protocol):
    """Chooses. `arrived` must lead to `World.answered` or `World.refused`, or the query is lost."""

    def arrived(self, query: Query) -> None: ...
    def changed(self, node: Node) -> None:
        """What a node has loaded or is loading, or whether it is on, is another now."""


class World:
    """The mutable state: the clock, what is to come, every node, the ledger and the records."""

    def __init__(
        self, scenario: Scenario, kits: dict[str, Kit], *, scale: float = 1.0,
        given: Arrivals | None = None,
    ) -> None:  # fmt: skip
        """`given`: what arrives, instead of what the traces' files say."""
        self.scenario = scenario
        self.now = 0.0
        self.tasks = {
            name: a_task(
                name, part.metric,
                input_bytes=int(part.input_kb * KB), output_bytes=int(part.output_kb * KB),
            )
            for name, part in scenario.tasks.items()
        }  # fmt: skip
        self.kinds = {
            fleet.name: Kind(fleet, kits[fleet.name].infos, self.tasks) for fleet in scenario.fleets
        }
        self.in_bytes = {name: part.input_kb * KB for name, part in scenario.tasks.items()}
        self.out_bytes = {name: part.output_kb * KB for name, part in scenario.tasks.items()}
        self.places, self.parent = places(scenario, self._nodes())
        self.network = Network(scenario, len(self.places))
        self.ledger = ledger(scenario.fleets, scenario.duration_s)
        self.asks = [an_ask(at, want.percentile) for at, want in enumerate(scenario.wants)]
        by_tier = {
            tier: [place for place in self.places if place.tier == tier]
            for tier in ("edge", "middle", "cloud")
        }
        self.arrivals = given or arrivals(
            scenario, {tier: max(1, len(found)) for tier, found in by_tier.items()}, scale=scale
        )
        self._by_tier = by_tier
        self.records = Records(scenario, len(self.arrivals))
        self.policy: Policy | None = None
        self.cold_starts = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._plan_faults()

    def __repr__(self) -> str:
        return f"<World {self.now:.3f} s | {len(self._heap)} to come>"

    def _nodes(self) -> list[Node]:
        return [
            Node(self, kind, site, f"{kind.fleet.name}-{number}", on=not kind.fleet.on_demand)
            for kind in self.kinds.values()
            for site in kind.fleet.site_names
            for number in range(1, kind.fleet.each + 1)
        ]

    @property
    def nodes(self) -> list[Node]:
        return [*self.parent.nodes, *(n for place in self.places for n in place.own)]

    # -- time ----------------------------------------------------------------------------------

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Have something done at an instant."""
        heapq.heappush(self._heap, (when, next(self._order), act))

    def run(self, progress: Progress | None = None) -> None:
        """Let it all happen: every arrival, then what is left of the queries."""
        if self.policy is None:
            raise RuntimeError("a world without a policy")
        arrived, told = self.policy.arrived, progress or _untold
        step = max(1, len(self.arrivals) // 200)
        for number, query in enumerate(self._queries()):
            self._until(query.at)
            self.now = query.at
            arrived(query)
            if number % step == 0:
                told(number / len(self.arrivals))
        self._until(self.scenario.duration_s + self.records.longest_s)
        for node in self.nodes:
            if node.on and node.kind.fleet.on_demand:
                self.ledger.held(node.kind.fleet, node.since, self.scenario.duration_s)
        told(1.0)

    def _until(self, end: float) -> None:
        """Do all that is due by then, in order."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, act = heapq.heappop(heap)
            act()

    def _queries(self) -> Iterator[Query]:
        """Make each when it comes: all at once would take more memory than what is left of them."""
        scenario = self.scenario
        entered = [self._by_tier[trace.enters] for trace in scenario.traces]
        latency = [want.latency_ms for want in scenario.wants]
        tasks = [trace.task for trace in scenario.traces]
        longest = [max(DEADLINE_FACTOR * ms, DEADLINE_LEAST_MS) / 1e3 for ms in latency]
        for number, (at, trace, place, want, draw) in enumerate(self.arrivals):
            yield Query(
                number, tasks[trace], entered[trace][place], want, draw, at,
                at + latency[want] / 1e3, at + longest[want],
            )  # fmt: skip

    def _plan_faults(self) -> None:
        for number, fault in enumerate(self.scenario.faults):
            if fault.slow is None:
                continue
            alike = [node for node in self.nodes if fnmatchcase(node.kind.fleet.name, fault.slow)]
            random = np.random.default_rng([self.scenario.seed, 3, number])
            size = max(1, round(fault.share * len(alike)))
            drawn = [alike[at] for at in sorted(random.permutation(len(alike))[:size].tolist())]
            self.at(fault.at_s, partial(_slow, drawn, fault.factor))
            self.at(fault.at_s + fault.for_s, partial(_slow, drawn, 1.0 / fault.factor))

    # -- on the way ------------------------------------------------------------------------------

    def carry(
        self, query: Query, ends: tuple[Tier, Tier], nbytes: float, then: Callable[[], None]
    ) -> None:
        """Carry bytes of a query from one tier to another or back; lost when the way is cut."""
        if ends[0] == ends[1]:
            then()
            return
        network, now, borders = self.network, self.now, BETWEEN[ends]
        if network.cuts and network.cut(borders, now):
            return
        usd = network.usd(borders, nbytes)
        if usd:
            self.ledger.carried(max(ends, key=TIERS.index), usd, now)
        self.at(now + network.one_way_s(borders, query.place.index, nbytes, now=now), then)

    # -- what queries come to ------------------------------------------------------------------

    def answered(self, query: Query, told: Told, tier: Tier) -> None:
        """The caller has an answer, the first of a query; if it is not too late to be one."""
        if not query.done:
            query.done = True
            if self.now <= query.deadline_at:
                self.records.answered(query.number, self.now - query.at, told.accuracy, tier)

    def refused(self, query: Query) -> None:
        """The caller is told that nothing can meet the want."""
        if not query.done:
            query.done = True
            self.records.refused(query.number)

    # -- what nodes do (Host) --------------------------------------------------------------------

    def worked(self, node: Node, seconds: float) -> None:
        self.ledger.worked(node.kind.fleet, seconds, self.now)

    def loading(self, node: Node) -> None:
        del node
        self.cold_starts += 1

    def released(self, node: Node) -> None:
        self.ledger.held(node.kind.fleet, node.since, self.now)

    def changed(self, node: Node) -> None:
        if self.policy is not None:
            self.policy.changed(node)


def _untold(_done: float) -> None:
    """Nobody watches."""


def _slow(nodes: list[Node], factor: float) -> None:
    for node in nodes:
        node.slow *= factor


@dataclass(slots=True, eq=False)
class Trip:
    """One ask to one node and back: over the borders between `here` and the node's tier."""

    world: World
    query: Query
    node: Node
    variant: str
    here: Tier
    heard: Callable[["Trip", Told | No], None]
    strict: bool = False
    budget_ms: float = 0.0
    """For the node, when it is `strict`."""
    late: bool = False
    """Run it even if it misses that."""
    ran: Callable[[], None] | None = None
    """Called when the node is done with it."""
    job: Job | None = None
    deadline_at: float = inf
    """When nobody waits for it any more, if that is before the query's own deadline."""
    draw: float | None = None
    """None: the query's."""

    def begin(self) -> None:
        """Send it; it is lost when the way is cut."""
        world, query = self.world, self.query
        ends = self.here, self.node.kind.tier
        world.carry(query, ends, world.in_bytes[query.task], self._arrive)

    def _arrive(self) -> None:
        world, query = self.world, self.query
        due, deadline = query.objective_at, min(self.deadline_at, query.deadline_at)
        if self.strict:
            due = world.now + self.budget_ms / 1e3
        self.job = job = Job(
            world.asks[query.want], (), "", 1, world.now,
            min(due, deadline), deadline, 0.0,
            draw=query.draw if self.draw is None else self.draw, told=self._told, late=self.late,
        )  # fmt: skip
        no = self.node.take(job, self.variant, strict=self.strict)
        if no is not None:
            self._told(no)

    def cancel(self) -> None:
        """Nobody waits for it any more: have it taken out of the node's queue."""
        world, ends = self.world, (self.here, self.node.kind.tier)
        world.carry(self.query, ends, 0.0, self._cancel)

    def _cancel(self) -> None:
        if self.job is not None:
            self.node.cancel(self.job)

    def _told(self, told: Told | No) -> None:
        self.job = None  # which knows of this: else each query would be left to the collector
        if self.ran is not None:
            self.ran()
        world, query = self.world, self.query
        nbytes = 0.0 if isinstance(told, str) else world.out_bytes[query.task]
        ends = self.here, self.node.kind.tier
        world.carry(query, ends, nbytes, partial(self.heard, self, told))
