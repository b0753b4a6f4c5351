"""Parties on one bus, in memory or over NATS, and an inbox that collects what they get."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from edge_agent.bus.base import Bus, Delivery
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.bus.nats import connecting


@asynccontextmanager
async def buses(url: str, number: int) -> AsyncIterator[list[Bus]]:
    """Some parties on one bus: over NATS at `url`, in memory where there is none."""
    if not url:
        network = MemoryNetwork()
        yield [MemoryBus(network) for _ in range(number)]
        return
    async with AsyncExitStack() as stack:
        each = [
            await stack.enter_async_context(connecting(url, name=f"test-{i}"))
            for i in range(number)
        ]
        yield list(each)


class Inbox:
    """Collects deliveries; `of` waits for the first few."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self._more = asyncio.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.got.append(delivery)
        self._more.set()

    async def of(self, number: int) -> list[Delivery]:
        async with asyncio.timeout(5):
            while len(self.got) < number:
                self._more.clear()
                await self._more.wait()
        return self.got
