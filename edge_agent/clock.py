"""Time as a thing that is handed in: the system's, and one that stands still until told."""

import asyncio
import heapq
import time
from itertools import count
from math import inf
from typing import Protocol


class Clock(Protocol):
    """Every loop holds one; pure code takes `now` instead."""

    def now(self) -> float:
        """Seconds on a monotonic clock; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch: for expiry dates, never for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; raise `CancelledError` at once in a task that was told to end (see `heed`)."""
        ...


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        heed()
        await asyncio.sleep(seconds)


class ManualClock:
    """Stands still until told to advance. A day in a test takes no time at all."""

    def __init__(self, start: float = 0.0, epoch: float = 1_800_000_000.0) -> None:
        self._now = start
        self._epoch = epoch
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def __repr__(self) -> str:
        return f"<ManualClock {self._now:.6f} s | {len(self._sleepers)} sleeping>"

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._epoch + self._now

    async def sleep(self, seconds: float) -> None:
        heed()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), next(self._order), future))
        await future

    @property
    def wakes_at(self) -> float:
        """When the first sleeper is to be woken; infinite where nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else inf

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time and letting what it starts settle."""
        end = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not future.done():
                future.set_result(None)
            await settle()
        self._now = end
        await settle()


def heed() -> None:
    """Raise `CancelledError` when the current task was told to end and has not heard of it.

    Until Python 3.12 `asyncio.wait_for`, and so nats-py, loses a cancellation that comes in the
    same turn of the loop as its result (https://github.com/python/cpython/issues/86296). A loop
    that goes round without ending would never end; so it heeds this once a round.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def settle(turns: int = 25) -> None:
    """Let every task that is ready run, and what those make ready in turn."""
    for _ in range(turns):
        await asyncio.sleep(0)
