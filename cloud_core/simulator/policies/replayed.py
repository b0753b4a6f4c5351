"""`mesh` over what was asked of a running one: warm as that is, with each tenant's permits."""

from cloud_core.simulator.lately import Replay
from cloud_core.simulator.policies.mesh import Mesh
from cloud_core.simulator.results import Outcome
from cloud_core.simulator.run import seldom_collected, under
from cloud_core.simulator.world import Query, World
from middle_tier.scheduler.rules import permit_of
from middle_tier.scheduler.types import Demand


class Replayed(Mesh):
    """The mesh as it was asked."""

    def __init__(self, world: World, replay: Replay) -> None:
        super().__init__(world, replay.rules)
        permits = replay.rules.permit
        self._asked = [
            Demand(
                kind.want, kind.want.latency_ms, 1, kind.in_bytes, kind.out_bytes,
                tiers=kind.tiers, permit=permit_of(permits, kind.tenant, kind.want.task),
            )
            for kind in replay.kinds
        ]  # fmt: skip

    def demand(self, query: Query) -> Demand:
        return self._asked[query.want]


def outcome(replay: Replay) -> Outcome:
    """Return what would have come of it."""
    with seldom_collected():
        world = World(replay.scenario, replay.kits, given=replay.arrivals)
        for place in world.places:
            if place.tier == "cloud":  # a running cloud asks the sites below it, too
                place.nodes = world.nodes
        _warm(world, replay)
        return under(Replayed(world, replay), world, lambda _done: None)


def _warm(world: World, replay: Replay) -> None:
    """Have in memory what is there now."""
    numbers: dict[str, int] = {}
    for node in world.nodes:
        name = node.kind.fleet.name
        number = numbers[name] = numbers.get(name, 0) + 1
        for variant, many in replay.warm[name].items():
            if number <= many:
                node.holding(variant).state = "warm"
