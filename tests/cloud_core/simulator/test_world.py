"""What a run comes to: small enough to be reckoned by hand."""

import gc
import json
from importlib import import_module

import pytest

from cloud_core.simulator.run import POLICIES, simulate
from cloud_core.simulator.tables import kits
from cloud_core.simulator.world import World
from tests.cloud_core.simulator.scenes import BASE, CLOUD, EDGE, scene

RIVALS = tuple(name for name in POLICIES if name != "oracle")


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_gives_the_same_figures(tmp_path, name):
    given = scene(tmp_path)
    first, second = (simulate(given, [name]).document()["policies"][name] for _ in range(2))
    for figures in (first, second):
        del figures["decision_us"]  # of this machine, not of the scenario
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("name", RIVALS)
def test_what_is_over_is_not_left_to_the_garbage_collector(tmp_path, name):
    """It would take an eighth of the time, and memory that is never in a cache."""
    given = scene(tmp_path, counts=(50,) * 20)
    module, _, made = POLICIES[name].partition(":")
    world = World(given, kits(given))
    world.policy = getattr(import_module(module), made)(world)
    gc.collect()
    gc.disable()
    try:
        world.run()
        left = gc.collect()
    finally:
        gc.enable()
    assert left < len(world.arrivals) / 10


def test_another_seed_gives_others(tmp_path):
    energy = {
        simulate(scene(tmp_path, seed=seed), ["mesh"]).policies["mesh"].figures.cold_starts
        + simulate(scene(tmp_path, seed=seed), ["mesh"]).policies["mesh"].figures.energy_wh
        for seed in range(3)
    }
    assert len(energy) > 1


@pytest.mark.parametrize("name", RIVALS)
def test_every_query_is_accounted_for(tmp_path, name):
    figures = simulate(scene(tmp_path), [name]).policies[name].figures
    assert figures.queries == 100
    assert figures.met + figures.violations == 100
    assert figures.met <= figures.answered <= figures.queries - figures.refused
    assert sum(figures.cost_by_tier.values()) == pytest.approx(figures.cost_usd)
    assert sum(figures.tier_share.values()) == pytest.approx(1.0)


def test_policies_side_by_side_are_as_one_by_one(tmp_path):
    given = scene(tmp_path)
    names = ["mesh", "always-cloud", "static-best"]
    alone, beside = (simulate(given, names, processes=n).document() for n in (1, 2))
    for document in (alone, beside):
        for figures in document["policies"].values():
            del figures["decision_us"]
    assert alone["policies"] == beside["policies"]


def test_the_document_has_the_agreed_fields(tmp_path):
    document = simulate(scene(tmp_path), ["mesh"]).document()
    assert list(document) == ["scenario", "seed", "wall_s", "simulated_queries_per_s", "policies"]
    assert list(document["policies"]["mesh"]) == [
        "queries", "answered", "met", "violations", "violation_pct", "steady_violation_pct",
        "refused", "mean_accuracy", "below_accuracy_pct", "cost_usd", "cost_by_tier", "energy_wh",
        "tier_share", "cold_starts", "decision_us",
    ]  # fmt: skip
    assert set(document["policies"]["mesh"]["decision_us"]) == {"p50", "p99"}


def test_a_held_fleet_is_charged_for_its_hours_under_every_policy(tmp_path):
    given = scene(tmp_path)
    rents = {
        name: simulate(given, [name]).policies[name].figures.cost_by_tier["cloud"]
        for name in ("mesh", "oracle", "static-best")
    }
    rent = 3.6 / 3600 * 20
    assert all(usd >= rent for usd in rents.values())
    assert rents["oracle"] == pytest.approx(rent)


def test_always_cloud_pays_for_bytes_hours_and_nothing_else(tmp_path):
    figures = simulate(scene(tmp_path), ["always-cloud"]).policies["always-cloud"].figures
    assert figures.tier_share == {"edge": 0.0, "middle": 0.0, "cloud": 1.0}
    assert figures.cost_usd == pytest.approx(3.6 / 3600 * 20 + 100 * 101_000 / 1e9)


def test_a_node_on_demand_is_charged_from_its_start_to_its_idle_release(tmp_path):
    fleet = {**CLOUD, "held": "on_demand", "start_s": 2, "idle_s": 3}
    given = scene(tmp_path, fleets=[fleet], counts=(0, 0, 1) + (0,) * 17)
    at = 2.0  # it comes in the third second; a start, a load, a run, and three idle seconds follow
    figures = simulate(given, ["always-cloud"]).policies["always-cloud"].figures
    held_s = (figures.cost_usd - 101_000 / 1e9) * 1000
    assert held_s == pytest.approx(2 + 0.5 + 0.002 + 3, abs=0.1)
    assert at + held_s < 20


def test_energy_is_that_of_loads_and_runs(tmp_path):
    given = scene(tmp_path, fleets=[{**EDGE, "sites": 1, "per_site": 1}], counts=(1,) * 20)
    figures = simulate(given, ["static-best"]).policies["static-best"].figures
    work_s = 0.5 + 20 * 0.02
    assert figures.energy_wh == pytest.approx(10 * work_s / 3600)
    assert figures.cost_usd == pytest.approx(10 * work_s / 3600 / 1000 * 0.1)


def test_a_slow_node_takes_longer_and_the_mesh_turns_away_from_it(tmp_path):
    fault = [{"at_s": 5, "for_s": 100, "slow": "pi", "factor": 20.0, "share": 0.5}]
    figures = simulate(
        scene(tmp_path, faults=fault, fleets=[{**EDGE, "sites": 1}]), ["mesh"]
    ).policies["mesh"].figures  # fmt: skip
    assert figures.violations < 15


def test_a_cut_border_loses_what_would_pass_it(tmp_path):
    cut = [{"at_s": 10, "for_s": 10, "cut": "middle-cloud"}]
    figures = simulate(scene(tmp_path, faults=cut), ["always-cloud"]).policies[
        "always-cloud"
    ].figures  # fmt: skip
    assert 49 <= figures.queries - figures.answered <= 51


def test_the_mesh_keeps_serving_at_a_site_that_is_cut_off(tmp_path):
    cut = [{"at_s": 10, "for_s": 10, "cut": "middle-cloud"}]
    figures = simulate(scene(tmp_path, faults=cut), ["mesh"]).policies["mesh"].figures
    assert figures.steady_violation_pct == 0.0


def test_memory_is_shared_by_eviction_of_what_was_used_longest_ago(tmp_path):
    wants = [{"latency_ms": 1000, "min_accuracy": 65}, {"latency_ms": 1000, "min_accuracy": 75}]
    tight = {**EDGE, "memory_mb": 50, "sites": 1, "per_site": 1}
    roomy = {**tight, "memory_mb": 100}
    starts = [
        simulate(scene(tmp_path, fleets=[fleet], wants=wants), ["edge-then-cloud"])
        .policies["edge-then-cloud"]
        .figures.cold_starts
        for fleet in (tight, roomy)
    ]
    assert starts[1] == 2
    assert starts[0] > 2


def test_several_traces_and_tiers_enter_where_they_say(tmp_path):
    traces = [*BASE["traces"], {"file": "trace.csv", "task": "imagenet", "enters": "cloud"}]
    figures = simulate(scene(tmp_path, traces=traces), ["mesh"]).policies["mesh"].figures
    assert figures.queries == 200
    assert figures.tier_share["cloud"] > 0.4
    assert figures.tier_share["edge"] > 0.4


def test_an_unknown_policy_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(Exception, match="no policy 'best'") as caught:
        simulate(scene(tmp_path), ["best"])
    assert "infaas-like" in caught.value.hint
