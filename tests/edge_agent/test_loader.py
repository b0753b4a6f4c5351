import asyncio

import numpy as np

from edge_agent.bundles.store import Store
from edge_agent.profiler import Profiles
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.intake import Signature
from edge_agent.stock.holdings import Holding
from edge_agent.stock.loader import Loader
from protocol.bundles import RuntimePin
from tests.edge_agent.bundles.test_store import a_bundle


class Taking:
    """A runtime of which loading takes 0.3 s, and a run 0.15 s, on a clock of its own."""

    def __init__(self, time=0.0):
        self.time = time

    def now(self):
        return self.time

    def load(self, *_):
        self.time += 0.3
        return self

    def infer(self, inputs):
        self.time += 0.15
        return {"scores": np.zeros((len(inputs["image"]), 10), np.float32)}

    def close(self):
        pass


async def test_a_load_takes_until_the_golden_inputs_have_run_as_nobody_is_served_before(tmp_path):
    held = Store.open([a_bundle(tmp_path / "one", "v1")]).held["v1"]
    pin = RuntimePin(name="table", version="1")
    holding = Holding(held, pin, Signature(held.task), Forecast(held.variant.profile), 0)
    taking, loop, done = Taking(), asyncio.get_running_loop(), asyncio.Event()
    loader = Loader(Profiles(tmp_path), taking.load, threads=1, hardware="box", now=taking.now)
    results = []

    def loaded(result):
        results.append(result)
        loop.call_soon_threadsafe(done.set)

    loader.load(holding, (), loaded)
    await done.wait()
    await loader.close()
    assert round(results[0].load_ms) == 450
