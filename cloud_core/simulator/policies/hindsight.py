"""The best fixed choice, knowing all that will arrive: by count of wants met, then by cost.

Estimated from the tables, not simulated: a query is met when link and run are within its want at
its own draw; and of what is more than the nodes can run, nothing is.
"""

from dataclasses import dataclass

import numpy as np

from cloud_core.simulator.ledger import energy_usd, rent_usd
from cloud_core.simulator.policies.options import Option, options
from cloud_core.simulator.policies.reach import Floats, run_ms
from cloud_core.simulator.world import KB, World


@dataclass(frozen=True, slots=True)
class _Asked:
    """The queries of a task: equally long columns."""

    draw: Floats
    latency_ms: Floats
    accuracy: Floats
    """The least."""


def best(world: World, task: str, *, cloud_only: bool) -> Option | None:
    """Return the best single variant and fleet for a task; None where nothing serves it."""
    found: dict[tuple[str, str], Option] = {}
    for place in world.places:
        for option in options(world, place, task):
            if option.fleet.tier == "cloud" or not cloud_only:
                found.setdefault((option.fleet.name, option.info.variant), option)
    asked = _asked(world, task)
    scored = [(*_score(world, asked, option), at) for at, option in enumerate(found.values())]
    return list(found.values())[max(scored)[2]] if scored else None


def _asked(world: World, task: str) -> _Asked:
    scenario, come = world.scenario, world.arrivals
    mine = np.isin(come.trace, [at for at, t in enumerate(scenario.traces) if t.task == task])
    want = come.want[mine]
    return _Asked(
        come.draw[mine],
        np.array([each.latency_ms for each in scenario.wants])[want],
        np.array([each.min_accuracy for each in scenario.wants])[want] / 100.0,
    )


def _score(world: World, asked: _Asked, option: Option) -> tuple[float, float]:
    """Return how many wants it meets, and minus what that costs."""
    scenario = world.scenario
    run = run_ms(option.info, asked.draw)
    in_time = option.link_ms + run <= asked.latency_ms
    good = in_time & (option.info.accuracy >= asked.accuracy)
    fleet, size = option.fleet, len(asked.draw)
    busy_s = size * option.each_ms / 1e3
    nodes = fleet.each * fleet.sites
    share = min(1.0, nodes * scenario.duration_s / busy_s) if busy_s else 1.0
    needed = max(1.0, busy_s / scenario.duration_s)
    part = scenario.tasks[option.info.task]
    nbytes = (part.input_kb + part.output_kb) * KB
    borders = world.network.borders(world.places[0].tier, fleet.tier)
    rent = rent_usd(fleet, needed * scenario.duration_s) if fleet.on_demand else 0.0
    usd = energy_usd(fleet, busy_s) + rent + size * world.network.usd(borders, nbytes)
    return round(float(good.sum()) * share), -usd
