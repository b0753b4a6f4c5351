"""The whole real stack, stepped, against the simulator: the same queries, the same outcome."""

import numpy as np
import pytest

from cloud_core.simulator.policies.mesh import Mesh
from cloud_core.simulator.results import met_of
from cloud_core.simulator.tables import kits
from cloud_core.simulator.world import World
from tests.cloud_core.simulator.scenes import EDGE, scene
from tests.cloud_core.simulator.stack import on_the_real_stack


class Runtime:
    def __init__(self, variant, stepped):
        self._variant, self._stepped = variant, stepped

    def infer(self, inputs):
        rows = inputs["input"].shape[0]
        self._stepped.wait(self._variant.profile.run(rows).at(50.0) / 1e3)
        return {"output": np.zeros((rows, 1000), np.uint8)}

    def close(self):
        """Nothing is held."""


def at_the_median(_node, stepped):
    """Return how a node loads what always takes its median, as every draw of the scene does."""

    def load(variant, *_):
        stepped.wait(variant.profile.load_ms / 1e3)
        return Runtime(variant, stepped)

    return load


@pytest.mark.parametrize(("load", "measure_s"), [(4, 0.0), (4, 0.5), (20, 0.5), (30, 0.5)])
async def test_the_real_router_and_agents_come_to_what_the_simulator_says(
    tmp_path, load, measure_s
):
    """At 30 a second half of what comes is late, and asked again elsewhere: that agrees as well.

    Nodes also measure for themselves, which the simulator leaves out.
    """
    scenario = scene(
        tmp_path, counts=(load,) * 8, duration_s=8, links={},
        fleets=[{**EDGE, "sites": 1}],
        tasks={"imagenet": {"input_kb": 1, "output_kb": 1, "memory_mb": 40, "load_ms": 500}},
        wants=[{"latency_ms": 150, "min_accuracy": 65}, {"latency_ms": 400, "min_accuracy": 75}],
    )  # fmt: skip
    world = World(scenario, kits(scenario))
    world.policy = Mesh(world)
    world.run()
    simulated = met_of(scenario, world.arrivals, world.records)
    real = await on_the_real_stack(
        World(scenario, kits(scenario)), tmp_path, at_the_median, measure_s=measure_s
    )
    met = np.array([one[0] for one in real])
    assert abs(met.mean() - simulated.mean()) <= 0.03
    large = np.mean([variant == "large" for _, variant in real if variant])
    answered = world.records.accuracy[world.records.outcome == 1]
    assert abs(large - (answered > 0.75).mean()) <= 0.05
