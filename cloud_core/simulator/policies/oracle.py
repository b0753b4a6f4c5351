"""`oracle`: a lower bound on the cost, and on the wants unmet, with all of the future known.

It is no schedule. What it relaxes, each of which can only make it cheaper (README has the proof's
outline, and `tests/cloud_core/simulator/test_oracle.py` tries it against every schedule of tiny
cases):

* the nodes of a fleet are one pool, wherever they stand: a site's burst may be served at another;
* within a window (and half a want's time beyond) work may be done in any order and in fractions;
* memory has no limit; loads are paid in fractions: of a variant, what of a kind of want it serves
  over the most of that kind that comes at one place, or the node's worth of work that runs at once;
* a query takes its own draw, or, where batches pay, its share of the best batch's median;
* a link has the better of its bandwidths when the query comes and when its time is up;
* slow nodes are never slow.

What it does not relax: nothing is warm, and no on-demand node is on, when the run begins; loads,
starts and held hours are paid by the same ledger rule; a node does one thing at a time.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import numpy.typing as npt

from cloud_core.simulator import results
from cloud_core.simulator.ledger import BUCKETS, energy_usd, rent_usd
from cloud_core.simulator.policies.bound import Bound, Group, Program, Stock, Way, Work
from cloud_core.simulator.policies.reach import Reach, reached
from cloud_core.simulator.records import ANSWERED
from cloud_core.simulator.results import Outcome
from cloud_core.simulator.scenario import TIERS, Scenario
from cloud_core.simulator.tables import Kit
from cloud_core.simulator.world import World

Members = list[npt.NDArray[np.intp]]
"""The queries of each group."""

WINDOWS = 24
"""Of the whole run; a window is at least `LEAST_S`. More would bound tighter, and take longer."""

LEAST_S = 2.0

ALLOWED = 0.001
"""Share of the wants that may go unmet at a feasible load (DESIGN 4.4)."""

STRATA = np.array([50.0, 60.0, 70.0, 80.0, 88.0, 94.0, 98.0])
"""Queries are alike between two of these draws: each is taken to be as lucky as the luckiest."""


def outcome(world: World, progress: Callable[[float], None]) -> Outcome:
    """Return the oracle's figures for the queries of a world, which is not run."""
    begin = perf_counter()
    reach = reached(world)
    progress(0.2)
    work, members = made(world, reach)
    program = Program(work)
    unmet = program.least_unmet()
    progress(0.6)
    bound = program.least_cost(unmet)
    progress(0.9)
    _record(world, reach, bound, members)
    _charge(world, work, bound)
    found = results.outcome(
        world.scenario, world.arrivals, world.records, world.ledger,
        cold_starts=int(np.ceil(bound.loads - 1e-6)), spent=([], perf_counter() - begin),
    )  # fmt: skip
    progress(1.0)
    return found


def feasible_scale(scenario: Scenario, kits: dict[str, Kit], *, tolerance: float = 0.03) -> float:
    """Return the largest trace scale at which at most `ALLOWED` of the wants go unmet.

    Without the first tenth of the run: that all is cold there says nothing of load.
    """
    low, high = 0.0, 1.0
    while _unmet(scenario, kits, high) <= ALLOWED:
        low, high = high, 2.0 * high
    while high - low > tolerance * high:
        middle = (low + high) / 2.0
        low, high = (middle, high) if _unmet(scenario, kits, middle) <= ALLOWED else (low, middle)
    return low


def _unmet(scenario: Scenario, kits: dict[str, Kit], scale: float) -> float:
    world = World(scenario, kits, scale=scale)
    work, _ = made(world, reached(world))
    since = int(np.ceil(work.windows * results.STEADY_FROM))
    steady = int((world.arrivals.at_s >= since * work.window_s).sum())
    return Program(work).least_unmet(since) / max(1, steady)


def made(world: World, reach: Reach) -> tuple[Work, Members]:
    """Return the oracle's program for a world, and which queries are in each group."""
    scenario = world.scenario
    window_s = max(LEAST_S, scenario.duration_s / WINDOWS)
    windows = max(1, int(np.ceil(scenario.duration_s / window_s)))
    stocks = tuple(
        Stock(
            fleet.each * fleet.sites, fleet.on_demand, fleet.start_s, fleet.idle_s,
            rent_usd(fleet, 1.0), energy_usd(fleet, 1.0),
        )
        for fleet in scenario.fleets
    )  # fmt: skip
    names = [fleet.name for fleet in scenario.fleets]
    ways = tuple(
        Way(names.index(option.fleet), option.info.profile.load_ms / 1e3)
        for option in reach.options
    )
    window = np.minimum(windows - 1, (world.arrivals.at_s / window_s).astype(np.int64))
    stratum = np.searchsorted(STRATA, world.arrivals.draw, side="right")
    keys = np.stack((window, world.arrivals.want, world.arrivals.trace, stratum), axis=1)
    keys = np.concatenate((keys, reach.feasible.view(np.uint8)), axis=1)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(inverse.ravel(), minlength=len(first)))[:-1]
    members = np.split(order, ends) if len(first) else []
    kind = world.arrivals.want * len(scenario.traces) + world.arrivals.trace
    groups = tuple(
        _group(reach, at, window=int(window[at[0]]), kind=int(kind[at[0]])) for at in members
    )
    overhang_s = max(want.latency_ms for want in scenario.wants) / 1e3
    return (
        Work(
            stocks,
            ways,
            groups,
            windows,
            window_s,
            overhang_s,
            scenario.duration_s,
            _most(world, kind),
        ),
        members,
    )


def _most(world: World, kind: npt.NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """Return the most queries of a kind at any one place; all of them for what places share."""
    found: dict[tuple[int, int], int] = {}
    for one in np.unique(kind).tolist():
        places = world.arrivals.place[kind == one]
        for at, fleet in enumerate(world.scenario.fleets):
            local = fleet.name not in world.parent.by_fleet
            found[one, at] = int(np.bincount(places).max()) if local else len(places)
    return found


def _group(reach: Reach, at: npt.NDArray[np.intp], *, window: int, kind: int) -> Group:
    ways = np.flatnonzero(reach.feasible[at[0]])
    least_s = reach.work_s[np.ix_(at, ways)].min(axis=0)
    usd = reach.usd[at[0], ways]
    found = zip(ways.tolist(), least_s.tolist(), usd.tolist(), strict=True)
    return Group(window, len(at), tuple(found), kind)


def _record(world: World, reach: Reach, bound: Bound, members: Members) -> None:
    """Put down which queries are met, in whole numbers, for what is shown beside the others."""
    taken = [0] * len(members)
    best: dict[int, tuple[float, int]] = {}
    for group, way, amount in bound.served:
        best[group] = max(best.get(group, (0.0, 0)), (amount, way))
        whole = int(amount + 1e-6)
        _meet(world, reach, members[group][taken[group] : taken[group] + whole], way)
        taken[group] += whole
    # What is left of each is less than one query for each way: met, as far as the bound meets it.
    left = sum(len(at) for at in members) - sum(taken) - round(bound.unmet)
    for group, (_, way) in best.items():
        rest = members[group][taken[group] :][: max(0, left)]
        _meet(world, reach, rest, way)
        left -= len(rest)


def _meet(world: World, reach: Reach, queries: npt.NDArray[np.intp], way: int) -> None:
    option, records = reach.options[way], world.records
    records.outcome[queries] = ANSWERED
    records.latency_s[queries] = 0.0
    records.accuracy[queries] = option.info.accuracy
    records.tier[queries] = TIERS.index(option.tier)


def _charge(world: World, work: Work, bound: Bound) -> None:
    """Put the bound into the ledger, each part where it belongs, and the solver's gap."""
    book, fleets = world.ledger, world.scenario.fleets
    before = book.usd
    for group, way, amount in bound.served:
        seconds, usd = next((s, u) for w, s, u in work.groups[group].ways if w == way)
        stock = work.ways[way].stock
        at = min(work.duration_s, (work.groups[group].window + 0.5) * work.window_s)
        book.worked(fleets[stock], amount * seconds, at)
        if usd:
            book.carried(fleets[stock].tier, amount * usd, at)
    for fleet, held in zip(fleets, bound.held_s, strict=True):
        if held:
            book.accounts[fleet.name].held_s += held
            book.over_time += rent_usd(fleet, held) / BUCKETS
    rest = bound.usd - (book.usd - before)
    served = (fleets[work.ways[way].stock].tier for _, way, _ in bound.served)
    book.bytes_usd[next(served, "edge")] += rest
