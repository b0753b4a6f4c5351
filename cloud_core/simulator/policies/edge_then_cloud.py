"""`edge-then-cloud`: the tier where a query enters, when it can answer in time; else the cloud.

At either the fastest variant that is accurate enough, by the tables; what was sent and not answered
counts as queue. There is no middle.
"""

from cloud_core.simulator.fleets import Balancer
from cloud_core.simulator.node import Node
from cloud_core.simulator.places import Place
from cloud_core.simulator.policies.decided import Decided
from cloud_core.simulator.policies.options import Option, options
from cloud_core.simulator.world import Query, World
from protocol.types import Tier


class EdgeThenCloud(Decided):
    """The mutable state is the balancer's."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._balancer = Balancer(world)
        self._known: dict[tuple[int, int, str], tuple[list[Option], list[Option]]] = {}

    def decide(self, query: Query) -> None:
        near, far = self._options(query)
        want = self._world.scenario.wants[query.want]
        for option in near:
            node, waits_ms = self._node(query.place, option, want.latency_ms)
            if node is not None and waits_ms + option.finish_ms(want.percentile) <= want.latency_ms:
                self._balancer.send(query, node, option.info.variant)
                return
        for option in far or near:
            node, _ = self._node(query.place, option, want.latency_ms)
            if node is not None:
                self._balancer.send(query, node, option.info.variant)
                return
        self._world.refused(query)

    def _node(self, place: Place, option: Option, latency_ms: float) -> tuple[Node | None, float]:
        name = option.fleet.name
        nodes = place.by_fleet.get(name) or self._world.parent.by_fleet.get(name, [])
        node = self._balancer.node(nodes, option.run_ms, latency_ms / 2.0) if nodes else None
        return node, self._balancer.waits_ms(node) if node is not None else 0.0

    def _options(self, query: Query) -> tuple[list[Option], list[Option]]:
        key = (query.place.index, query.want, query.task)
        known = self._known.get(key)
        if known is None:
            least = self._world.scenario.wants[query.want].min_accuracy / 100.0
            every = [
                option
                for option in options(self._world, query.place, query.task)
                if option.info.accuracy >= least
            ]
            known = (_fastest(every, query.place.tier), _fastest(every, "cloud"))
            self._known[key] = known
        return known


def _fastest(every: list[Option], tier: Tier) -> list[Option]:
    """Return the fastest of each fleet of a tier, cheapest fleet first."""
    best: dict[str, Option] = {}
    for option in every:
        name = option.fleet.name
        if option.fleet.tier == tier and (name not in best or option.run_ms < best[name].run_ms):
            best[name] = option
    return sorted(best.values(), key=lambda option: option.usd)
