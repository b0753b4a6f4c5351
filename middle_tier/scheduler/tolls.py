"""Pure. Which pools are crowded, and how much dearer a run counts there: in order, not on the bill.

A query that finds nobody in time, though nodes of one pool (and of no other) would be if nobody
waited there, was crowded out by others, some of which could have run elsewhere for little more. So
for a while all that would run there pays, in that order, for the queue that it makes longer.
"""

from collections.abc import Mapping
from math import inf

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.members import Pool, PoolKey

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

LASTS_MS = 2000.0
"""How long a pool counts as crowded after the last that was crowded out."""

QUEUE_MS = 10.0
"""A queue of so long doubles what a run counts as there. How long hardly matters, as long as it is
short beside the queues that crowd somebody out."""


class Tolls:
    """The mutable state is until when each pool, by its number, is crowded."""

    def __init__(self, pools: Mapping[PoolKey, Pool]) -> None:
        self.until_ms = -inf
        """When the last of them is crowded no more."""
        self._pools = pools
        self._until_ms: Floats = np.full(0, -inf)

    def __repr__(self) -> str:
        return f"<Tolls of {len(self._until_ms)} pools | until {self.until_ms:.0f} ms>"

    def make_room(self, pools: int) -> None:
        """See that there is room for this many pools."""
        if pools > len(self._until_ms):
            self._until_ms = np.append(self._until_ms, np.full(pools, -inf))

    def note(self, crowded: PoolKey | None, now: float) -> None:
        """Take it that somebody was crowded out there, if anybody was."""
        pool = None if crowded is None else self._pools.get(crowded)
        if pool is not None:
            self.until_ms = self._until_ms[pool.number] = now * 1000.0 + LASTS_MS

    def share(self, pools: Rows, queue_ms: Floats, now_ms: float) -> Floats:
        """Return what a run counts as in these pools behind such queues, beyond its price."""
        crowded = self._until_ms.take(pools) > now_ms
        share: Floats = crowded * queue_ms / QUEUE_MS
        return share
