"""A fleet's nodes as a plain load balancer sees them: what it has sent, and when to start another.

What the rivals share, so that they differ in what they choose and not in how well they queue.
"""

from dataclasses import dataclass, field
from random import Random

from cloud_core.simulator.node import No, Node, Told
from cloud_core.simulator.world import Query, Trip, World

LOOK_AT_ALL = 8
"""Of more nodes, two are drawn and the better one is taken."""


@dataclass(slots=True, eq=False)
class Balancer:
    """The mutable state is the work sent to each node and not yet heard of, in ms."""

    world: World
    out_ms: dict[Node, float] = field(default_factory=dict)
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311  # repeatable on purpose

    def node(self, nodes: list[Node], run_ms: float, most_ms: float) -> Node | None:
        """Return the node with the least work, of those that are on.

        Where that has more than `most_ms` before it, one more is started; a fleet that is all off
        has its first node started and waited for.
        """
        on = nodes if not nodes[0].kind.fleet.on_demand else [node for node in nodes if node.on]
        few = on if len(on) <= LOOK_AT_ALL else self.random.sample(on, 2)
        best = min(few, key=self.waits_ms, default=None)
        if (best is None or self.waits_ms(best) + run_ms > most_ms) and len(on) < len(nodes):
            off = next((node for node in nodes if not node.on), None)
            starts = any(self.world.now < node.ready_at for node in on)
            if off is not None and not starts:
                off.start()
                return best or off
        return best

    def waits_ms(self, node: Node) -> float:
        """What a query sent there now would wait for, as far as is known here."""
        return self.out_ms.get(node, 0.0) + max(0.0, node.ready_at - self.world.now) * 1e3

    def send(self, query: Query, node: Node, variant: str) -> None:
        """Have it answered there, or not at all."""
        each_ms = marginal_ms(node, variant)
        self.out_ms[node] = self.out_ms.get(node, 0.0) + each_ms

        def heard(trip: Trip, told: Told | No) -> None:
            if isinstance(told, str):
                self.world.refused(query)
            else:
                self.world.answered(query, told, trip.node.kind.tier)

        def ran() -> None:
            self.out_ms[node] = max(0.0, self.out_ms[node] - each_ms)

        Trip(self.world, query, node, variant, query.place.tier, heard, ran=ran).begin()


def marginal_ms(node: Node, variant: str) -> float:
    """What one more query adds to a node's work, in batches as large as there can be."""
    runs = node.kind.by_variant[variant].profile.runs
    return min(latency.ms[0] / size for size, latency in runs.items())
