"""What each query could be served by, on its own, with nothing in the way: the oracle's input."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloud_core.simulator.places import Place
from cloud_core.simulator.world import KB, World
from protocol.adverts import VariantInfo
from protocol.types import QUANTILES, Tier

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Served:
    """A variant on a fleet."""

    fleet: str
    tier: Tier
    info: VariantInfo


@dataclass(frozen=True, slots=True)
class Reach:
    """By query and option: whether it could do, and what it would take at least."""

    options: tuple[Served, ...]
    feasible: Bools
    work_s: Floats
    usd: Floats
    """Of its bytes."""


def reached(world: World) -> Reach:
    """Return what could serve each query of a world."""
    options = tuple(
        Served(fleet.name, fleet.tier, info)
        for fleet in world.scenario.fleets
        for info in undominated(world.kinds[fleet.name].infos)
    )
    come = world.arrivals
    shape = (len(come), len(options))
    found = Reach(options, np.zeros(shape, np.bool_), np.zeros(shape), np.zeros(shape))
    for at, trace in enumerate(world.scenario.traces):
        mine = np.flatnonzero(come.trace == at)
        entered = [place for place in world.places if place.tier == trace.enters]
        links: dict[Tier, tuple[Floats, Bools]] = {}
        for column, option in enumerate(options):
            if option.info.task == trace.task and len(mine):
                if option.tier not in links:
                    links[option.tier] = _links(world, mine, entered, option.tier)
                _fill(world, found, (mine, column), entered, links=links[option.tier])
    return found


def undominated(infos: tuple[VariantInfo, ...]) -> list[VariantInfo]:
    """Return the variants that no other of the fleet beats in every respect that is bounded.

    Another that is as accurate, loads as fast and runs as fast at every quantile and in every batch
    could take all that a variant does: leaving that out loosens nothing.
    """
    figures = [_figures(info) for info in infos]
    kept = []
    for at, info in enumerate(infos):
        beaten = any(
            infos[other].task == info.task
            and all(a <= b for a, b in zip(figures[other], figures[at], strict=True))
            and (figures[other] != figures[at] or other < at)
            for other in range(len(infos))
        )
        if not beaten:
            kept.append(info)
    return kept


def _figures(info: VariantInfo) -> tuple[float, ...]:
    profile = info.profile
    return (-info.accuracy, profile.load_ms, _batched_ms(info), *profile.runs[1].ms)


def _batched_ms(info: VariantInfo) -> float:
    """The least that a query can take of a batch; where none pays, of a run alone."""
    return min(latency.ms[0] / size for size, latency in info.profile.runs.items())


def _fill(
    world: World,
    found: Reach,
    where: tuple[npt.NDArray[np.intp], int],
    entered: list[Place],
    *,
    links: tuple[Floats, Bools],
) -> None:
    mine, column = where
    option, come = found.options[column], world.arrivals
    fleet = world.kinds[option.fleet].fleet
    part = world.scenario.tasks[option.info.task]
    nbytes = (part.input_kb + part.output_kb) * KB
    factor = min([fault.factor for fault in world.scenario.faults if fault.slow] + [1.0])
    least_s, work_s = _times(option.info, come.draw[mine], min(factor, 1.0))
    wants = world.scenario.wants
    latency_s = np.array([want.latency_ms for want in wants])[come.want[mine]] / 1e3
    accuracy = np.array([want.min_accuracy for want in wants])[come.want[mine]] / 100.0
    link_s, open_ = links
    reachable = np.array([_has(world, place, option.fleet) for place in entered] or [False])
    start_s = fleet.start_s if fleet.on_demand else 0.0
    # Nothing is warm at 0, and a load has to be over before the run that answers.
    ready_s = start_s + option.info.profile.load_ms / 1e3
    found.feasible[mine, column] = (
        open_
        & reachable[come.place[mine]]
        & (option.info.accuracy >= accuracy - 1e-9)
        & (link_s + least_s <= latency_s + 1e-9)
        & (ready_s + least_s <= come.at_s[mine] + latency_s + 1e-9)
    )
    found.work_s[mine, column] = work_s
    borders = world.network.borders(entered[0].tier if entered else fleet.tier, fleet.tier)
    found.usd[mine, column] = world.network.usd(borders, nbytes)


def _times(info: VariantInfo, draws: Floats, factor: float) -> tuple[Floats, Floats]:
    """Return the least time until each is answered, and the least work that it takes, in s.

    In a batch a query takes the draw of another, and so at best the median.
    """
    alone_s = factor * run_ms(info, draws) / 1e3
    if len(info.profile.runs) == 1:
        return alone_s, alone_s
    median_s, batched_s = info.profile.runs[1].ms[0] / 1e3, _batched_ms(info) / 1e3
    return np.minimum(alone_s, factor * median_s), np.minimum(alone_s, factor * batched_s)


def run_ms(info: VariantInfo, draws: Floats) -> Floats:
    """`Latency.at` of one alone, for many draws."""
    ms = np.array(info.profile.runs[1].ms)
    if ms[0] <= 0:
        return np.array([info.profile.runs[1].at(draw) for draw in draws.tolist()])
    return np.asarray(np.exp(np.interp(draws, QUANTILES, np.log(ms))))


def _links(
    world: World,
    mine: npt.NDArray[np.intp],
    entered: list[Place],
    tier: Tier,
) -> tuple[Floats, Bools]:
    """Return the least time of each query's way there and back, and whether there is one."""
    if not entered or entered[0].tier == tier:
        return np.zeros(len(mine)), np.ones(len(mine), np.bool_)
    network, come = world.network, world.arrivals
    latency_s = np.array([want.latency_ms for want in world.scenario.wants])[come.want[mine]] / 1e3
    borders = network.borders(entered[0].tier, tier)
    part = world.scenario.tasks[world.scenario.traces[int(come.trace[mine[0]])].task]
    nbytes = (part.input_kb + part.output_kb) * KB
    ways = np.zeros(len(mine))
    open_ = np.ones(len(mine), np.bool_)
    for number, (at, late_s, place) in enumerate(
        zip(come.at_s[mine].tolist(), latency_s.tolist(), come.place[mine].tolist(), strict=True)
    ):
        index = entered[place].index
        ways[number] = min(
            network.one_way_s(borders, index, nbytes, now=moment) for moment in (at, at + late_s)
        ) + network.one_way_s(borders, index, 0.0, now=at)
        open_[number] = not network.cut_throughout(borders, at, at + late_s)
    return ways, open_


def _has(world: World, place: Place, fleet: str) -> bool:
    return bool(place.by_fleet.get(fleet) or world.parent.by_fleet.get(fleet))
