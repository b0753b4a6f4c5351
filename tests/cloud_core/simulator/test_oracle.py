"""The oracle is a bound: no schedule of a tiny case is cheaper or meets more; nor is any policy."""

from itertools import permutations, product
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_core.simulator.ledger import energy_usd, rent_usd
from cloud_core.simulator.policies.bound import Program
from cloud_core.simulator.policies.oracle import made
from cloud_core.simulator.policies.reach import reached, undominated
from cloud_core.simulator.run import POLICIES, Job, run, simulate
from cloud_core.simulator.tables import kits
from cloud_core.simulator.traces import Arrivals
from cloud_core.simulator.world import World
from tests.cloud_core.simulator.scenes import CLOUD, EDGE, PROFILES, scene

DURATION_S = 20.0
SPREAD = tuple({**row, "p90_ms": "", "p99_ms": str(3 * float(row["p50_ms"]))} for row in PROFILES)
WANTS = [
    {"latency_ms": 150, "min_accuracy": 65},
    {"latency_ms": 400, "min_accuracy": 75},
]
TIGHT = [{"latency_ms": 90, "min_accuracy": 65}, {"latency_ms": 100, "min_accuracy": 75}]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    edge = {**EDGE, "sites": 1, "per_site": 1, "memory_mb": 1000}
    gpu = {**CLOUD, "held": "on_demand", "start_s": 2, "idle_s": 3}
    return {
        name: scene(
            tmp_path_factory.mktemp(name), rows=SPREAD, fleets=[edge, gpu], wants=wants,
            tasks={"imagenet": {"input_kb": 10, "output_kb": 1, "memory_mb": 40, "load_ms": 500}},
        )
        for name, wants in (("easy", WANTS), ("tight", TIGHT))
    }  # fmt: skip


def a_world(scenario, queries):
    """A world in which exactly these arrive: (second, want, draw)."""
    world = World(scenario, kits(scenario))
    at, want, draw = (np.array(column) for column in zip(*sorted(queries), strict=True))
    none = np.zeros(len(at), np.int64)
    world.arrivals = Arrivals(at.astype(float), none, none, want.astype(np.int64), draw)
    return world


def schedules(world):
    """Every way to serve the queries: yields how many are unmet, and what it costs."""
    fleets = world.scenario.fleets
    ways = [(fleet, info) for fleet in fleets for info in world.kinds[fleet.name].infos]
    queries = range(len(world.arrivals))
    for choice in product([None, *range(len(ways))], repeat=len(queries)):
        for order in permutations(queries):
            yield costed(world, ways, choice, order)


def costed(world, ways, choice, order):
    come, wants = world.arrivals, world.scenario.wants
    free, first, last, loaded, usd, unmet = {}, {}, {}, set(), 0.0, 0
    for query in order:
        if choice[query] is None:
            unmet += 1
            continue
        fleet, info = ways[choice[query]]
        want = wants[come.want[query]]
        borders = world.network.borders("edge", fleet.tier)
        up, down = (world.network.one_way_s(borders, 0, n, now=0.0) for n in (10_000, 1_000))
        ready = info.profile.load_ms / 1e3 + (fleet.start_s if fleet.on_demand else 0.0)
        begin = max(come.at_s[query] + up, free.get(fleet.name, 0.0), ready)
        run_s = info.profile.runs[1].at(come.draw[query]) / 1e3
        free[fleet.name] = last[fleet.name] = begin + run_s
        first.setdefault(fleet.name, begin - ready)
        in_time = begin + run_s + down <= come.at_s[query] + want.latency_ms / 1e3
        unmet += not (in_time and info.accuracy * 100 >= want.min_accuracy)
        if (fleet.name, info.variant) not in loaded:
            loaded.add((fleet.name, info.variant))
            usd += energy_usd(fleet, info.profile.load_ms / 1e3)
        usd += energy_usd(fleet, run_s) + world.network.usd(borders, 11_000)
    for fleet in world.scenario.fleets:
        if fleet.on_demand and fleet.name in last:
            end = min(DURATION_S, last[fleet.name] + fleet.idle_s)
            usd += rent_usd(fleet, max(0.0, end - first[fleet.name]))
    return unmet, usd


QUERIES = st.lists(
    st.tuples(
        st.sampled_from((0.2, 0.61, 2.55, 2.56, 2.57, 9.0, 9.01, 9.05, 19.0, 19.9)),
        st.integers(0, 1),
        st.sampled_from((10.0, 55.0, 85.0, 99.0)),
    ),
    min_size=1, max_size=3, unique=True,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(queries=QUERIES, name=st.sampled_from(("easy", "tight")))
def test_no_schedule_is_cheaper_or_meets_more(tiny, queries, name):
    world = a_world(tiny[name], queries)
    work, _ = made(world, reached(world))
    program = Program(work)
    cheapest = dict.fromkeys(range(len(queries) + 1), inf)
    for unmet, usd in schedules(world):
        for allowed in range(unmet, len(queries) + 1):
            cheapest[allowed] = min(cheapest[allowed], usd)
    least = min(allowed for allowed, usd in cheapest.items() if usd < inf)
    assert program.least_unmet() <= least + 1e-6
    for allowed, usd in cheapest.items():
        if usd < inf:
            assert program.least_cost(float(allowed)).usd <= usd * (1 + 1e-6) + 1e-15


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.sampled_from((3.0, 9.0)), draw=st.sampled_from((10.0, 55.0, 99.0)))
def test_the_bound_of_a_lone_query_is_what_it_really_costs(tiny, at, draw):
    world = a_world(tiny["easy"], [(at, 0, draw)])
    bound = Program(made(world, reached(world))[0]).least_cost(0.0)
    assert bound.usd == pytest.approx(
        min(usd for unmet, usd in schedules(world) if not unmet), rel=0.2
    )


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "oracle"])
@pytest.mark.parametrize("scene_name", ["easy", "tight"])
def test_no_policy_is_cheaper_than_the_bound_for_what_it_meets(tiny, name, scene_name):
    scenario = tiny[scene_name]
    found = run(Job(scenario, kits(scenario), name))
    world = World(scenario, kits(scenario))
    program = Program(made(world, reached(world))[0])
    always = sum(
        rent_usd(fleet, scenario.duration_s) * fleet.each * fleet.sites
        for fleet in scenario.fleets
        if not fleet.on_demand
    )
    bound = program.least_cost(float(found.figures.violations))
    assert bound.usd + always <= found.figures.cost_usd * (1 + 1e-6)
    assert program.least_unmet() <= found.figures.violations + 1e-6


def test_its_violations_are_the_wants_that_nobody_could_meet(tmp_path):
    wants = [{"latency_ms": 200, "min_accuracy": 65}, {"latency_ms": 200, "min_accuracy": 90}]
    figures = simulate(scene(tmp_path, wants=wants), ["oracle"]).policies["oracle"].figures
    nobody = int((World(s := scene(tmp_path, wants=wants), kits(s)).arrivals.want == 1).sum())
    cold = 5  # nothing is warm in the first half second
    assert nobody <= figures.violations <= nobody + cold


def test_more_than_the_nodes_can_run_is_not_met(tmp_path):
    one = [{**EDGE, "sites": 1, "per_site": 1}]
    figures = simulate(scene(tmp_path, fleets=one, counts=(100,) * 20), ["oracle"])
    assert figures.policies["oracle"].figures.violation_pct == pytest.approx(50.0, abs=8.0)


def test_a_variant_that_another_beats_in_all_respects_is_left_out(tmp_path):
    rows = (*PROFILES, {**PROFILES[0], "model": "poor", "top1_pct": "69", "p50_ms": "21"})
    scenario = scene(tmp_path, rows=rows)
    kept = undominated(kits(scenario)["pi"].infos)
    assert [info.variant for info in kept] == ["large", "small"]
