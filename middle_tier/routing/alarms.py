"""Calls at set times: thousands of them, on any clock, with one sleeping task."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

from edge_agent.background import beside
from edge_agent.clock import Clock

EARLY_S = 1e-6
"""What a clock may wake too early by; rounding, not time."""


class Alarm:
    """One call to come. Forget it with `cancel`: that also lets go of what it would have called."""

    __slots__ = ("ring",)

    def __init__(self, ring: Callable[[], None]) -> None:
        self.ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        self.ring = None


class Alarms:
    """A heap of alarms and one task that sleeps until the earliest.

    A loop timer would need the loop's own clock, which tests cannot move. An alarm comes to the
    heap after the turn in which it was set, as most are cancelled before; it stays there until its
    time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fresh: list[tuple[float, Alarm]] = []
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = count()
        self._tasks: asyncio.TaskGroup | None = None
        self._sleeper: asyncio.Task[None] | None = None
        self._wakes = float("inf")

    def __repr__(self) -> str:
        alarms = [*(alarm for _, alarm in self._fresh), *(alarm for *_, alarm in self._heap)]
        return f"<Alarms {sum(1 for alarm in alarms if alarm.ring)} set>"

    def set(self, at: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring` once, when the clock reads `at`; `ring` must neither block nor raise."""
        alarm = Alarm(ring)
        if not self._fresh:
            asyncio.get_running_loop().call_soon(self._take_in)
        self._fresh.append((at, alarm))
        return alarm

    @asynccontextmanager
    async def ringing(self) -> AsyncIterator[None]:
        """Ring alarms until the block ends; those still set then never ring."""
        async with beside(self._run(), "alarms"):
            yield

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                if self._heap:
                    self._sleep_until(self._heap[0][0])
                await asyncio.get_running_loop().create_future()
        finally:
            self._tasks = None
            self._fresh, self._heap = [], []

    def _take_in(self) -> None:
        fresh, self._fresh = self._fresh, []
        for at, alarm in fresh:
            if alarm.ring is not None:
                heapq.heappush(self._heap, (at, next(self._order), alarm))
        if self._heap and self._heap[0][0] < self._wakes:
            self._sleep_until(self._heap[0][0])

    def _sleep_until(self, at: float) -> None:
        if self._tasks is None:
            return
        if self._sleeper is not None:
            self._sleeper.cancel()
        self._wakes = at
        self._sleeper = self._tasks.create_task(self._sleep(), name="alarms")

    async def _sleep(self) -> None:
        while self._heap:
            self._wakes = self._heap[0][0]
            await self._clock.sleep(self._wakes - self._clock.now())
            self._ring_due(self._clock.now() + EARLY_S)
        self._sleeper, self._wakes = None, float("inf")

    def _ring_due(self, now: float) -> None:
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].ring is None):
            _, _, alarm = heapq.heappop(self._heap)
            ring, alarm.ring = alarm.ring, None
            if ring is not None:
                ring()
