"""A node that has begun to measure a variant, whose runs take until they are let go."""

import asyncio
from contextlib import asynccontextmanager
from threading import Semaphore

from edge_agent.clock import ManualClock
from protocol.bundles import RuntimePin
from tests.edge_agent.node import SLOW, Adds, Loads, a_node, quick

LONG = quick("long", profile=SLOW)
RUN_S = 0.006
"""A run of one row, as the builder has it."""
MEASURED = [1.0]
"""The row that is run for it."""
PIN = RuntimePin(name="table", version="1")


class Paced(Adds):
    """Each run takes until it is let go, and as long as the clock has moved meanwhile."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = Semaphore(0), Semaphore(0)
        self._under_way = False

    def infer(self, inputs):
        assert not self._under_way
        self._under_way = True
        self.begun.release()
        assert self.go.acquire(timeout=10)
        self._under_way = False
        return super().infer(inputs)

    async def has_begun(self):
        """Return when the next run has begun."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=5)

    def begins_none(self):
        return not self.begun.acquire(blocking=False)


@asynccontextmanager
async def a_measuring_node(*others, first=LONG, load=None, **changes):
    """A node that has begun to measure `long` as it has just started; a run of it is under way."""
    load, clock = load or Loads(long=Paced()), ManualClock()
    paced = load.runtimes["long"]
    fields = {"measure_s": 0.5, "warm": ("long",), "load": load, "clock": clock}
    variants = (first, *others)
    async with a_node(*variants, **fields | changes) as (agent, caller):
        try:
            await paced.has_begun()
            yield agent, caller, paced, clock
        finally:
            paced.go.release(10_000)


async def known(agent, name="long"):
    """Its profile, when all is measured."""
    async with asyncio.timeout(5):
        await agent.load(name)
    return next(info.profile for info in agent.description().variants if info.variant == name)
