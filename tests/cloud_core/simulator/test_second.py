"""Second thoughts in simulation: what they save and cost; the real mesh comes to the same."""

import numpy as np
import pytest

from cloud_core.simulator.policies.mesh import Mesh, default_rules
from cloud_core.simulator.policies.second import sureness
from cloud_core.simulator.results import met_of
from cloud_core.simulator.run import simulate
from cloud_core.simulator.tables import kits
from cloud_core.simulator.world import World
from middle_tier.scheduler.rules import Escalation, Hedge
from tests.cloud_core.simulator.scenes import EDGE, scene
from tests.cloud_core.simulator.stack import on_the_real_stack
from tests.cloud_core.simulator.test_calibration_real import tables

PI = {"submitter": "a", "system": "pi-one"}
SCATTERED = (
    {**PI, "model": "small", "top1_pct": "70", "p50_ms": "20", "p90_ms": "22", "p99_ms": "300"},
)
TWO = (
    {**PI, "model": "small", "top1_pct": "70", "p50_ms": "20"},
    {**PI, "model": "large", "top1_pct": "80", "p50_ms": "50"},
)
ONCE = {"tries": 1}
"""Nobody is given up for another: what is saved is saved by hedging."""
HEDGE = {**ONCE, "hedge": Hedge(after_percentile=85, share=0.2)}


def straggling(folder):
    """A query in twenty takes longer than it may, while there is room for others."""
    return scene(
        folder, rows=SCATTERED, counts=(5,) * 120, duration_s=120, links={},
        fleets=[{**EDGE, "sites": 1, "per_site": 4}],
        tasks={"imagenet": {"input_kb": 1, "output_kb": 1, "memory_mb": 40, "load_ms": 500}},
        wants=[{"latency_ms": 100, "percentile": 90, "min_accuracy": 65}],
    )  # fmt: skip


def under(scenario, **changes):
    """Return what came of it by a policy that differs so from the usual one."""
    rules = default_rules(World(scenario, kits(scenario))).model_copy(update=changes)
    return simulate(scenario, ["mesh"], rules=rules).policies["mesh"].figures


async def test_hedging_saves_what_stragglers_miss_as_it_does_in_the_real_mesh(tmp_path):
    scenario = straggling(tmp_path)
    plain, hedged = under(scenario, **ONCE), under(scenario, **HEDGE)
    world = World(scenario, kits(scenario))
    rules = default_rules(world).model_copy(update=HEDGE)
    real = np.mean([met for met, _ in await on_the_real_stack(world, tmp_path, tables, rules)])
    assert plain.violation_pct > 5.0
    assert hedged.violation_pct < 3.5
    assert abs(real - hedged.met / hedged.queries) <= 0.02


def test_no_more_than_its_share_is_hedged(tmp_path):
    scenario = straggling(tmp_path)
    asked = {}
    for share in (0.0, 0.02, 0.2):
        world = World(scenario, kits(scenario))
        hedge = {**HEDGE, "hedge": Hedge(after_percentile=85, share=share)}
        mesh = world.policy = Mesh(world, default_rules(world).model_copy(update=hedge))
        world.run()
        met = met_of(scenario, world.arrivals, world.records).mean()
        asked[share] = mesh.counts["hedged"] / len(world.arrivals), met
    assert asked[0.0][0] == 0.0
    assert 0.015 < asked[0.02][0] <= 0.02
    assert 0.08 < asked[0.2][0] <= 0.2
    assert asked[0.0][1] < asked[0.02][1] < asked[0.2][1]


def unsure(folder, latency_ms):
    return scene(
        folder, rows=TWO, counts=(5,) * 40, duration_s=40, links={},
        fleets=[{**EDGE, "sites": 1, "per_site": 4}],
        wants=[{"latency_ms": latency_ms, "percentile": 90, "min_accuracy": 65}],
    )  # fmt: skip


def test_an_unsure_answer_is_asked_anew_for_more_accuracy_and_both_are_paid_for(tmp_path):
    scenario = unsure(tmp_path, 300)
    plain, escalated = under(scenario), under(scenario, escalate=Escalation(below=0.6, share=1.0))
    assert plain.mean_accuracy == pytest.approx(70.0, abs=0.3)  # all is cold at first
    asked_anew = 0.6 ** (0.7 / 0.3)  # of answers that are right in 70 of 100 cases
    assert escalated.mean_accuracy == pytest.approx(70.0 + 10.0 * asked_anew, abs=0.7)
    assert escalated.energy_wh > plain.energy_wh * (1.0 + asked_anew)
    assert escalated.met >= plain.met - 1


def test_where_nothing_better_is_in_time_the_answer_in_hand_is_given(tmp_path):
    scenario = unsure(tmp_path, 60)
    plain, escalated = under(scenario), under(scenario, escalate=Escalation(below=0.6, share=1.0))
    assert (escalated.met, escalated.mean_accuracy) == (plain.met, plain.mean_accuracy)


def test_a_late_second_opinion_is_not_waited_for(tmp_path):
    """The only node that runs the better variant is slow, and nobody has said so."""
    fleets = [
        {**EDGE, "sites": 1, "per_site": 1},
        {**EDGE, "name": "box", "system": "gpu", "sites": 1, "per_site": 1},
    ]
    rows = (TWO[0], {**TWO[1], "system": "gpu"})
    scenario = scene(
        tmp_path, rows=rows, counts=(1,) * 40, duration_s=40, links={}, fleets=fleets,
        wants=[{"latency_ms": 300, "percentile": 90, "min_accuracy": 65}],
        faults=[{"at_s": 0, "slow": "box", "factor": 20.0}],
    )  # fmt: skip
    plain, escalated = under(scenario), under(scenario, escalate=Escalation(below=1.0, share=1.0))
    assert escalated.energy_wh > 1.5 * plain.energy_wh
    assert escalated.met == plain.met


@pytest.mark.parametrize("accuracy", [0.5, 0.7, 0.95])
def test_answers_are_as_sure_as_their_variant_is_accurate(accuracy):
    sure = [sureness(accuracy, number) for number in range(2000)]
    assert np.mean(sure) == pytest.approx(accuracy, abs=0.005)
    assert 0.0 <= min(sure) <= max(sure) <= 1.0
