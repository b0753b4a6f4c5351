"""Ways to serve a query: a variant on a fleet, what it takes and costs by the tables alone.

Rivals choose among these. Queues, what is loaded and what was learnt are not in them.
"""

from dataclasses import dataclass

from cloud_core.simulator.places import Place
from cloud_core.simulator.scenario import Fleet
from cloud_core.simulator.world import KB, World
from protocol.adverts import VariantInfo
from protocol.types import Tier


@dataclass(frozen=True, slots=True)
class Option:
    """One way, as seen from a place."""

    fleet: Fleet
    info: VariantInfo
    link_ms: float
    """There and back, with the bytes, at the bandwidth in the middle of what the files say."""
    usd: float
    """Of one query: the busy time's energy and rent, and its bytes."""

    @property
    def run_ms(self) -> float:
        """The median of one alone."""
        return self.info.profile.runs[1].ms[0]

    @property
    def each_ms(self) -> float:
        """What one more adds where batches are as large as they can be."""
        return min(latency.ms[0] / size for size, latency in self.info.profile.runs.items())

    def finish_ms(self, percentile: float) -> float:
        """Link and run, with nothing before it."""
        return self.link_ms + self.info.profile.runs[1].at(percentile)


def options(world: World, place: Place, task: str) -> list[Option]:
    """Return every way to serve a task from a place: there, or with the parent."""
    found = []
    for where in (place, world.parent):
        for name, nodes in where.by_fleet.items():
            if where is world.parent and place.nodes is world.parent.nodes:
                continue
            kind = nodes[0].kind
            fleet = world.kinds[name].fleet
            found += [
                _option(world, place.tier, fleet, info) for info in kind.infos if info.task == task
            ]
    return found


def _option(world: World, here: Tier, fleet: Fleet, info: VariantInfo) -> Option:
    part, network = world.scenario.tasks[info.task], world.network
    nbytes = (part.input_kb + part.output_kb) * KB
    borders = network.borders(here, fleet.tier)
    link_ms = 0.0
    for border in borders:
        speeds = sorted(network.speeds[border].mbps)
        middle = speeds[len(speeds) // 2]
        link_ms += network.parts[border].rtt_ms + nbytes / (middle * 125.0)
    busy = fleet.price.usd_per_busy_ms * info.profile.runs[1].ms[0]
    return Option(fleet, info, link_ms, busy + network.usd(borders, nbytes))
