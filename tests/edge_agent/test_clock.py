"""A loop ends when it is told to, also where a library has lost the telling."""

import asyncio
from contextlib import suppress

import pytest

from edge_agent.background import beside
from edge_agent.clock import ManualClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
async def test_a_loop_that_lost_its_cancellation_ends_at_its_next_sleep(clock):
    waits = asyncio.Event()

    async def loop():
        while True:
            waits.set()
            # As `asyncio.wait_for` does, when its result comes in the same turn.
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await clock.sleep(3600)

    async with asyncio.timeout(10), beside(loop(), "loop"):
        await waits.wait()


async def test_a_task_that_nobody_told_to_end_sleeps():
    await SystemClock().sleep(0)
