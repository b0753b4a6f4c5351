"""`infaas-like`: greedy selection as INFaaS publishes it (Romero et al., USENIX ATC 2021, 4 and 5).

A query takes the cheapest variant that is running, meets accuracy and latency by its profile, and
is not overloaded, on the least loaded worker. Where none runs, the one with the least loading plus
inference time. Every second a model autoscaler replicates what was overloaded, or upgrades to the
next that is not. What is ours, as INFaaS knows one data centre only: link times are added to
latencies and link prices to costs, by the median bandwidth; workers are a site's and the cloud's.
"""

from dataclasses import dataclass, field

from cloud_core.simulator.fleets import Balancer
from cloud_core.simulator.node import Node
from cloud_core.simulator.policies.decided import Decided
from cloud_core.simulator.policies.options import Option, options
from cloud_core.simulator.world import Query, World

AUTOSCALE_S = 1.0
"""How often a worker's model autoscaler looks (published: every second)."""

LOADED = 0.8
"""A worker is overloaded with more work than this share of the time a want leaves it."""


@dataclass(slots=True, eq=False)
class Ways:
    """What one kind of want may take at one place, cheapest first."""

    options: list[Option]
    nodes: list[list[Node]] = field(default_factory=list)
    """Those of each option's fleet."""


class InfaasLike(Decided):
    """The mutable state is who runs what, what was overloaded, and the balancer's."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._balancer = Balancer(world)
        self._ways: dict[tuple[int, int, str], Ways] = {}
        self._warm: dict[tuple[int, str], list[Node]] = {}
        self._running: dict[Node, set[str]] = {}
        self._overloaded: dict[tuple[int, int, str], Query] = {}
        world.at(AUTOSCALE_S, self._autoscale)

    def changed(self, node: Node) -> None:
        warm = {h.id for h in node.holdings.values() if h.state == "warm"} if node.on else set()
        self._running[node] = warm

    def decide(self, query: Query) -> None:
        ways = self._of(query)
        want = self._world.scenario.wants[query.want]
        overloaded = False
        for option, nodes in zip(ways.options, ways.nodes, strict=True):
            variant = option.info.variant
            running = [node for node in nodes if variant in self._running.get(node, ())]
            if not running:
                continue
            node = min(running, key=self._balancer.waits_ms)
            slack_ms = LOADED * (want.latency_ms - option.finish_ms(50.0))
            if self._balancer.waits_ms(node) <= slack_ms:
                self._balancer.send(query, node, variant)
                self._note(query, overloaded=overloaded)
                return
            overloaded = True
        self._note(query, overloaded=True)
        self._load_and_run(query, ways)

    def _note(self, query: Query, *, overloaded: bool) -> None:
        if overloaded:
            self._overloaded[query.place.index, query.want, query.task] = query

    def _load_and_run(self, query: Query, ways: Ways) -> None:
        """Nothing that runs will do: whatever is there soonest."""
        soonest: tuple[float, Node, Option] | None = None
        for option, nodes in zip(ways.options, ways.nodes, strict=True):
            for node in nodes[:16]:
                cold_ms = self._cold_ms(node, option)
                ms = cold_ms + self._balancer.waits_ms(node) + option.finish_ms(50.0)
                if soonest is None or ms < soonest[0]:
                    soonest = ms, node, option
        if soonest is None:
            self._world.refused(query)
        else:
            self._balancer.send(query, soonest[1], soonest[2].info.variant)

    def _cold_ms(self, node: Node, option: Option) -> float:
        holding = node.holdings.get(option.info.variant)
        if holding is None:
            start_ms = 0.0 if node.on else option.fleet.start_s * 1e3
            return start_ms + option.info.profile.load_ms
        return node.cold_ms(holding, self._world.now)

    def _of(self, query: Query) -> Ways:
        key = (query.place.index, query.want, query.task)
        ways = self._ways.get(key)
        if ways is None:
            want = self._world.scenario.wants[query.want]
            fit = [
                option
                for option in options(self._world, query.place, query.task)
                if option.info.accuracy >= want.min_accuracy / 100.0
                and option.finish_ms(50.0) <= want.latency_ms
            ]
            fit.sort(key=lambda option: (option.usd, option.run_ms))
            ways = self._ways[key] = Ways(fit)
            parent = self._world.parent.by_fleet
            for option in fit:
                name = option.fleet.name
                ways.nodes.append(query.place.by_fleet.get(name) or parent.get(name, []))
        return ways

    def _autoscale(self) -> None:
        """Replicate the cheapest variant of each want that was overloaded; or else upgrade."""
        for query in self._overloaded.values():
            ways = self._of(query)
            for option, nodes in zip(ways.options, ways.nodes, strict=True):
                variant = option.info.variant
                idle = [
                    node
                    for node in nodes
                    if variant not in self._running.get(node, ())
                    and node.holding(variant).state == "cold"
                ]
                if idle:
                    node = min(idle, key=self._balancer.waits_ms)
                    node.load(node.holding(variant))
                    break
        self._overloaded.clear()
        if self._world.now < self._world.scenario.duration_s:
            self._world.at(self._world.now + AUTOSCALE_S, self._autoscale)
