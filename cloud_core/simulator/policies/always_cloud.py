"""`always-cloud`: every query goes to the cloud, to the variant there that is best in hindsight.

Nodes are started one by one as the work sent to those that run exceeds half of a want's time.
"""

from cloud_core.simulator.fleets import Balancer
from cloud_core.simulator.node import Node
from cloud_core.simulator.policies.decided import Decided
from cloud_core.simulator.policies.hindsight import best
from cloud_core.simulator.policies.options import Option
from cloud_core.simulator.world import Query, World


class Fixed(Decided):
    """One option for each task, whatever is wanted."""

    def __init__(self, world: World, *, cloud_only: bool) -> None:
        super().__init__()
        self._world = world
        self._balancer = Balancer(world)
        found = {task: best(world, task, cloud_only=cloud_only) for task in world.tasks}
        self.chosen: dict[str, Option] = {
            task: option for task, option in found.items() if option is not None
        }

    def decide(self, query: Query) -> None:
        option = self.chosen.get(query.task)
        if option is None:
            self._world.refused(query)
            return
        nodes = self._nodes(query, option)
        most_ms = self._world.scenario.wants[query.want].latency_ms / 2.0
        node = self._balancer.node(nodes, option.run_ms, most_ms) if nodes else None
        if node is None:
            self._world.refused(query)
        else:
            self._balancer.send(query, node, option.info.variant)

    def _nodes(self, query: Query, option: Option) -> list[Node]:
        name = option.fleet.name
        return query.place.by_fleet.get(name) or self._world.parent.by_fleet.get(name, [])


class AlwaysCloud(Fixed):
    """The best of the cloud's."""

    def __init__(self, world: World) -> None:
        super().__init__(world, cloud_only=True)
