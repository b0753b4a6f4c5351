"""Calls at set times: thousands of them, on any clock, with one sleeping task."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from math import inf

from edge_agent.background import beside
from edge_agent.clock import Clock

EARLY_S = 1e-6
"""What a clock may wake too early by; rounding, not time."""

SLOT_S = 0.01
"""Alarms of one slot wait together, unsorted, until it opens."""


class Alarm:
    """One call to come. Forget it with `cancel`: that also lets go of what it would have called."""

    __slots__ = ("at", "ring")

    def __init__(self, at: float, ring: Callable[[], None]) -> None:
        self.at = at
        self.ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        self.ring = None


class Alarms:
    """Alarms by slots of their times, a heap of those that are near, and one task that sleeps.

    A loop timer would need the loop's own clock, which tests cannot move. Most alarms are cancelled
    long before their time: such a one costs its place in a list, and never comes to the heap.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: dict[int, list[Alarm]] = {}
        self._shut: list[int] = []
        """A heap of the slots that are not open yet."""
        self._heap: list[tuple[float, int, Alarm]] = []
        """What stood in slots that are open."""
        self._opened = -1
        """The last slot that was opened: what is set for it, or before it, goes to the heap."""
        self._order = count()
        self._tasks: asyncio.TaskGroup | None = None
        self._sleeper: asyncio.Task[None] | None = None
        self._wakes = inf

    def __repr__(self) -> str:
        shut = (alarm for slot in self._slots.values() for alarm in slot)
        alarms = [*shut, *(alarm for *_, alarm in self._heap)]
        return f"<Alarms {sum(1 for alarm in alarms if alarm.ring)} set>"

    def set(self, at: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring` once, when the clock reads `at`; `ring` must neither block nor raise."""
        alarm = Alarm(at, ring)
        number = int(at / SLOT_S)
        slot = self._slots.get(number)
        if slot is not None:
            slot.append(alarm)
        elif number <= self._opened:
            heapq.heappush(self._heap, (at, next(self._order), alarm))
            self._wake_by(at)
        else:
            self._slots[number] = [alarm]
            heapq.heappush(self._shut, number)
            self._wake_by(number * SLOT_S)
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
                self._wake_by(self._next())
                await asyncio.get_running_loop().create_future()
        finally:
            self._tasks = None
            self._slots, self._shut, self._heap = {}, [], []

    def _next(self) -> float:
        """When there is something to do; infinity: never."""
        slot = self._shut[0] * SLOT_S if self._shut else inf
        return min(slot, self._heap[0][0]) if self._heap else slot

    def _wake_by(self, at: float) -> None:
        if self._tasks is None or at >= self._wakes:
            return
        if self._sleeper is not None:
            self._sleeper.cancel()
        self._wakes = at
        self._sleeper = self._tasks.create_task(self._sleep(), name="alarms")

    async def _sleep(self) -> None:
        while (at := self._next()) < inf:
            self._wakes = at
            await self._clock.sleep(at - self._clock.now())
            now = self._clock.now() + EARLY_S
            self._wakes = -inf  # it looks again when all that is due has rung
            self._open(now)
            self._ring_due(now)
        self._sleeper, self._wakes = None, inf

    def _open(self, now: float) -> None:
        """Bring what is left of the slots that have come to the heap."""
        while self._shut and self._shut[0] * SLOT_S <= now:
            self._opened = heapq.heappop(self._shut)
            for alarm in self._slots.pop(self._opened):
                if alarm.ring is not None:
                    heapq.heappush(self._heap, (alarm.at, next(self._order), alarm))

    def _ring_due(self, now: float) -> None:
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].ring is None):
            _, _, alarm = heapq.heappop(self._heap)
            ring, alarm.ring = alarm.ring, None
            if ring is not None:
                ring()
