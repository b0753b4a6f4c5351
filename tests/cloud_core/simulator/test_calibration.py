"""A want at percentile p is met between p - 2 and 100 percent of the time, once all is warm.

Where nothing is refused (`on_miss: fastest`), at two sites below a cloud: up to half of what the
oracle could bear. `test_calibration_real.py` has 80 percent, with the policy's default. Here, at
80 percent, a want at the 99th percentile is met 96 times in 100: what is late by what is predicted
is asked for all the same. What is to be in time is: as often as its percentile says, and oftener.
"""

import numpy as np
import pytest

from cloud_core.simulator.policies.mesh import Mesh
from cloud_core.simulator.results import met_of
from cloud_core.simulator.tables import kits
from cloud_core.simulator.world import World
from tests.cloud_core.simulator.scenes import CLOUD, EDGE, scene

PI, GPU = {"submitter": "a", "system": "pi-one"}, {"submitter": "a", "system": "gpu"}
ROWS = (
    {**PI, "model": "small", "top1_pct": "70", "p50_ms": "20", "p90_ms": "26", "p99_ms": "40"},
    {**PI, "model": "large", "top1_pct": "78", "p50_ms": "60", "p90_ms": "75", "p99_ms": "110"},
    {**GPU, "model": "large", "top1_pct": "78", "p50_ms": "3", "p90_ms": "4", "p99_ms": "8"},
)
PERCENTILES = (50, 90, 95, 99)
WANTS = [
    {"latency_ms": ms, "percentile": percentile, "min_accuracy": accuracy}
    for percentile in PERCENTILES
    for ms, accuracy in ((100, 65), (250, 75))
]
RISE_S = 15
"""So long it gets busier; what is cold is loaded meanwhile."""
FEASIBLE = 612
"""What the oracle could bear, a second."""


def simulated(folder, rate):
    """Return, of more than 10,000 queries after the rise: met, answered, promised, percentile."""
    steady = -(-10_500 // rate)
    rise = tuple(rate * (at + 1) // RISE_S for at in range(RISE_S))
    scenario = scene(
        folder, rows=ROWS, counts=rise + (rate,) * steady, duration_s=RISE_S + steady, wants=WANTS,
        fleets=[{**EDGE, "per_site": 3}, CLOUD],
    )  # fmt: skip
    world = World(scenario, kits(scenario))
    world.policy = Mesh(world)
    world.run()
    late = world.arrivals.at_s >= RISE_S
    records = world.records
    met = met_of(scenario, world.arrivals, records)[late]
    percentile = np.array([each.percentile for each in scenario.wants])[world.arrivals.want[late]]
    return met, records.outcome[late] == 1, records.promised[late], percentile


@pytest.mark.parametrize("rate", [100, 200, 300])
def test_a_want_is_met_as_often_as_its_percentile_says(tmp_path, rate):
    met, answered, _, percentiles = simulated(tmp_path, rate)
    assert answered.sum() >= 10_000
    for percentile in PERCENTILES:
        of_these = met[answered & (percentiles == percentile)]
        assert 100.0 * of_these.mean() >= percentile - 2.0


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_what_is_to_be_in_time_by_what_is_predicted_is_so_that_often(tmp_path, share):
    met, _, promised, percentiles = simulated(tmp_path, int(share * FEASIBLE))
    assert promised.sum() >= 0.7 * len(met)
    for percentile in PERCENTILES:
        of_these = met[promised & (percentiles == percentile)]
        assert 100.0 * of_these.mean() >= percentile - 2.0
