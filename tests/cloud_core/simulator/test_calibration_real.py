"""Over 10,000 answered queries a want at percentile p is met between p - 2 and 100 percent.

Of the real stack: planner, router, admission, queues and batching, over the memory bus, a stepped
clock and the table runtime, at 20, 50 and 80 percent of what the oracle could bear (DESIGN 4.4).
"""

from hashlib import sha256

import numpy as np
import pytest

from cloud_core.simulator.policies.mesh import default_rules
from cloud_core.simulator.policies.oracle import feasible_scale
from cloud_core.simulator.tables import kits
from cloud_core.simulator.world import World
from edge_agent.runtimes import table
from tests.cloud_core.simulator.scenes import EDGE, scene
from tests.cloud_core.simulator.stack import on_the_real_stack

PI, BOX = {"submitter": "a", "system": "pi-one"}, {"submitter": "a", "system": "gpu"}
ROWS = (
    {**PI, "model": "small", "top1_pct": "70", "p50_ms": "20", "p90_ms": "26", "p99_ms": "40"},
    {**PI, "model": "large", "top1_pct": "78", "p50_ms": "60", "p90_ms": "75", "p99_ms": "110"},
    {**BOX, "model": "large", "top1_pct": "78", "p50_ms": "8", "p90_ms": "10", "p99_ms": "20",
     "offline_sps": "250"},
)  # fmt: skip
FLEETS = [
    {**EDGE, "sites": 1, "per_site": 4},
    {**EDGE, "name": "box", "system": "gpu", "sites": 1, "per_site": 1,
     "price": {"watts": 60, "usd_per_kwh": 0.1}},
]  # fmt: skip
PERCENTILES = (50, 90, 99)
WANTS = [
    {"latency_ms": ms, "percentile": percentile, "min_accuracy": accuracy}
    for percentile in PERCENTILES
    for ms, accuracy in ((100, 65), (250, 75))
]
RISE_S, QUERIES = 15, 10_400
"""So long it gets busier, as what is cold is loaded meanwhile; so many come after that."""


def a_scene(folder, rate, queries):
    steady = -(-queries // rate)
    rise = tuple(rate * (at + 1) // RISE_S for at in range(RISE_S))
    return scene(
        folder, rows=ROWS, counts=rise + (rate,) * steady, duration_s=RISE_S + steady, wants=WANTS,
        fleets=FLEETS, links={},
        tasks={"imagenet": {"input_kb": 1, "output_kb": 1, "memory_mb": 40, "load_ms": 500}},
    )  # fmt: skip


def tables(node, stepped):
    """Return how a node loads: as tables, each with draws of its own."""

    def load(variant, _data, threads, task):
        runs = {size: latency.ms for size, latency in variant.profile.runs.items()}
        seed = int.from_bytes(sha256(f"{node} {variant.id}".encode()).digest()[:4])
        shapes = {
            name: axes.shape[1:] for name, axes in zip(("output",), task.outputs, strict=True)
        }
        said = table.Table(
            runs=runs, load_ms=variant.profile.load_ms, outputs=shapes, seed=seed
        ).model_dump_json()
        return table.load(variant, said.encode(), threads, task, sleep=stepped.wait)

    return load


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
async def test_the_real_stack_meets_a_want_as_often_as_its_percentile_says(tmp_path, share):
    """What it cannot meet it refuses, as the policy has it by default: next to nothing."""
    scenario = a_scene(tmp_path, 100, 4_000)
    rate = int(share * 100 * feasible_scale(scenario, kits(scenario)))
    world = World(a_scene(tmp_path, rate, QUERIES), kits(scenario))
    outcomes = await on_the_real_stack(world, tmp_path, tables, default_rules(world, "refuse"))
    late = world.arrivals.at_s >= RISE_S
    met, answered = np.array([(met, bool(variant)) for met, variant in outcomes])[late].T
    assert answered.sum() >= 10_000
    assert answered.mean() >= 0.98
    percentiles = np.array([each["percentile"] for each in WANTS])[world.arrivals.want[late]]
    for percentile in PERCENTILES:
        of_these = met[answered & (percentiles == percentile)]
        assert 100.0 * of_these.mean() >= percentile - 2.0
