"""Pure. The queue: earliest deadline first over lanes, each the asks that could run together.

A lane is asks of one variant and one shape. What to take from a lane is batching's decision.
"""

from bisect import insort
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from operator import attrgetter

from edge_agent.queue.batching import Batch, Waiting, next_batch
from edge_agent.queue.intake import Shapes
from edge_agent.queue.slack import LOOKED_AT, Due, passes
from edge_agent.stock.holdings import Holding

QUEUE_PERCENTILE = 95.0
"""What queued work is counted at: a sum of 99th percentiles would be far too dark."""

_due = attrgetter("due")
Key = tuple[str, Shapes, bool]
"""Variant, shapes, and whether one alone runs in less time than handing it to a thread takes."""


@dataclass(slots=True, eq=False)
class Lane:
    """Asks that could run together, by `due`."""

    key: Key
    holding: Holding
    asks: list[Waiting] = field(default_factory=list)
    rows: int = 0
    late: int = 0
    """Rows of those that miss their objectives anyway: they wait for all the others."""
    cost_ms: float = 0.0
    """Predicted time of the others, as if the lane ran by itself."""


class Lanes:
    """All that waits. The mutable state is the lanes and two heaps of (due, tie, lane).

    An entry of a heap counts while its lane's first ask is still due then; others are dropped when
    they come up. Lanes of a holding that is not free are in no heap until `wake`.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.queued_ms = 0.0
        """Predicted time of all that waits and may be in time, as if each lane ran by itself. What
        is late anyway stands before nobody."""
        self._lanes: dict[Key, Lane] = {}
        self._of: dict[str, list[Lane]] = {}
        self._short: list[tuple[float, int, Lane]] = []
        self._long: list[tuple[float, int, Lane]] = []
        self._tie = count()

    def __repr__(self) -> str:
        return f"<Lanes {len(self._lanes)} | {self.rows} rows | {self.queued_ms:.1f} ms>"

    def push(self, waiting: Waiting, holding: Holding, tails: Shapes, *, short: bool) -> Lane:
        """Queue an admitted ask; return where it waits."""
        key = (holding.id, tails, short)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, holding)
            self._of.setdefault(holding.id, []).append(lane)
        self._insert(lane, waiting)
        self._recount(lane)
        if lane.asks[0] is waiting:
            self._offer(lane)
        return lane

    def next(self, *, short_only: bool) -> Lane | None:
        """The lane with the most urgent ask, among those that may run now."""
        short = self._first(self._short)
        if short_only:
            return short
        long = self._first(self._long)
        if short is None or long is None:
            return short or long
        return short if short.asks[0].due <= long.asks[0].due else long

    def take(self, lane: Lane, now: float, max_rows: int) -> Batch:
        """Take the next batch out of the lane; what only waits longer is back in it."""
        run_s = lane.holding.forecast.run_s
        batch = next_batch(lane.asks, now=now, run_s=run_s, max_rows=max_rows)
        for waiting in lane.asks[: batch.looked_at]:
            self._count(lane, waiting, -waiting.rows)
        del lane.asks[: batch.looked_at]
        for waiting in batch.postponed:
            waiting.due = inf
            self._insert(lane, waiting)
        self._recount(lane)
        if not batch.members and lane.asks:
            self._offer(lane)
        return batch

    def passes(self, *, free_at: float, due: float, run_s: float, workers: int = 1) -> bool:
        """Whether an ask makes its `due` in its turn, and nobody who waits misses theirs for it."""
        if self.rows > LOOKED_AT:
            return False
        lanes = self._lanes.values()
        each_s = [
            (lane.asks, lane.cost_ms / max(1, lane.rows - lane.late) / workers / 1e3)
            for lane in lanes
        ]
        queued = [Due(one.due, one.rows * cost_s) for asks, cost_s in each_s for one in asks]
        return passes(queued, free_at=free_at, due=due, run_s=run_s)

    def cancel(self, lane: Lane, waiting: Waiting) -> bool:
        """Take one ask out; False when it does not wait any more."""
        if waiting not in lane.asks:
            return False
        first = lane.asks[0] is waiting
        lane.asks.remove(waiting)
        self._count(lane, waiting, -waiting.rows)
        self._recount(lane)
        if first and lane.asks:
            self._offer(lane)
        return True

    def wake(self, holding: Holding) -> None:
        """Its lanes may run (again)."""
        for lane in self._of.get(holding.id, ()):
            self._offer(lane)

    def clear(self, holding: Holding) -> list[tuple[Lane, Waiting]]:
        """Take out all that waits for it."""
        gone: list[tuple[Lane, Waiting]] = []
        for lane in tuple(self._of.get(holding.id, ())):
            for waiting in lane.asks:
                gone.append((lane, waiting))
                self._count(lane, waiting, -waiting.rows)
            lane.asks = []
            self._recount(lane)
        return gone

    def _count(self, lane: Lane, waiting: Waiting, rows: int) -> None:
        lane.rows += rows
        self.rows += rows
        if waiting.due == inf:
            lane.late += rows

    def _insert(self, lane: Lane, waiting: Waiting) -> None:
        self._count(lane, waiting, waiting.rows)
        if not lane.asks or lane.asks[-1].due <= waiting.due:
            lane.asks.append(waiting)
        else:
            insort(lane.asks, waiting, key=_due)

    def _recount(self, lane: Lane) -> None:
        """Keep the sum; forget a lane that is empty."""
        rows = lane.rows - lane.late
        cost_ms = lane.holding.forecast.run_ms(rows, QUEUE_PERCENTILE) if rows else 0.0
        self.queued_ms = max(0.0, self.queued_ms + cost_ms - lane.cost_ms)
        lane.cost_ms = cost_ms
        if not lane.asks:
            del self._lanes[lane.key]
            lanes = self._of[lane.holding.id]
            lanes.remove(lane)
            if not lanes:
                del self._of[lane.holding.id]
        if not self._lanes:
            self.queued_ms = 0.0  # what rounding left

    def _offer(self, lane: Lane) -> None:
        if lane.holding.free:
            heap = self._short if lane.key[2] else self._long
            heappush(heap, (lane.asks[0].due, next(self._tie), lane))

    def _first(self, heap: list[tuple[float, int, Lane]]) -> Lane | None:
        while heap:
            due, _, lane = heap[0]
            if lane.asks and lane.asks[0].due == due and lane.holding.free:
                return lane
            heappop(heap)
        return None
