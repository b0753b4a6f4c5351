"""Pure. The queue: lanes, each the asks that could run together, in the order that is fair.

Whose turn it is is decided by shares; what to take from a lane is batching's decision.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from math import inf

from edge_agent.queue.batching import Batch, Waiting, next_batch
from edge_agent.queue.intake import Shapes
from edge_agent.queue.shares import Account, Before, Shares
from edge_agent.queue.slack import LOOKED_AT, Due, passes
from edge_agent.queue.strands import STALE, Key, Lane, Strand
from edge_agent.stock.holdings import Holding
from protocol.messages import Ask

QUEUE_PERCENTILE = 95.0
"""What queued work is counted at: a sum of 99th percentiles would be far too dark."""


class Lanes:
    """All that waits. The mutable state is the lanes, shares, and two heaps of lanes.

    An entry of a heap is (rank, due, tie, lane), and counts while the lane's first strand stands
    there; others are dropped when they come up. Lanes of a holding that is not free are in no heap
    until `wake`.
    """

    def __init__(self, workers: int = 1) -> None:
        self.rows = 0
        self.queued_ms = 0.0
        """Predicted time of all that waits and may be in time, as if each lane ran by itself. What
        is late anyway stands before nobody."""
        self._workers = workers
        self._shares = Shares(workers)
        self._lanes: dict[Key, Lane] = {}
        self._of: dict[str, list[Lane]] = {}
        self._strands: dict[Account, list[Strand]] = {}
        self._short: list[tuple[float, float, int, Lane]] = []
        self._long: list[tuple[float, float, int, Lane]] = []
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
        self._count(lane, waiting, waiting.rows)
        self._recount(lane)
        strand = self._strand(lane, waiting)
        strand.insert(waiting)
        if self._shares.moved:
            self._reorder()
        if strand.asks[0] is waiting:
            self._moved(lane, strand)
            self._offer(lane)
        return lane

    def next(self, *, short_only: bool) -> Lane | None:
        """The lane whose turn it is, among those that may run now."""
        short = self._first(self._short)
        if short_only:
            return short
        long = self._first(self._long)
        if short is None or long is None:
            return short or long
        return short if self._short[0][:2] <= self._long[0][:2] else long

    def take(self, lane: Lane, now: float, max_rows: int) -> Batch:
        """Take the next batch out of the lane; what only waits longer is back in it."""
        run_s = lane.holding.forecast.run_s
        if len(lane.strands) == 1:
            touched = [lane.first()]
            batch = next_batch(touched[0].asks, now=now, run_s=run_s, max_rows=max_rows)
            del touched[0].asks[: batch.looked_at]
        else:
            offered: list[tuple[Strand, Waiting]] = []
            asks = lane.in_turn(offered)
            batch = next_batch(asks, now=now, run_s=run_s, max_rows=max_rows)
            for strand, waiting in reversed(offered[batch.looked_at :]):
                strand.asks.insert(0, waiting)
            touched = list(dict.fromkeys([strand for strand, _ in offered]))
        self._put_down(lane, batch, now)
        for strand in touched:
            self._settle(lane, strand)
        if self._shares.moved:
            self._reorder()
        if not batch.members and lane.strands:
            self._offer(lane)
        return batch

    def before(self, ask: Ask) -> Before | None:
        """What would be run before it; None: all that waits is its own tenant's."""
        return self._shares.before(ask.tenant, ask.share)

    def passes(self, ask: Ask, *, free_at: float, due: float, run_s: float) -> bool:
        """Whether an ask makes its `due` in its turn, and nobody who waits misses theirs for it.

        But within its tenant's share it takes the turn of those who are beyond theirs.
        """
        before = self.before(ask)
        if before is not None and before.within:
            ahead_s = before.ahead_ms / self._workers / 1e3
            if free_at + ahead_s + run_s <= due:
                return True
        if self.rows > LOOKED_AT:
            return False
        return passes(self._queued(before), free_at=free_at, due=due, run_s=run_s)

    def cancel(self, lane: Lane, waiting: Waiting) -> bool:
        """Take one ask out; False when it does not wait any more."""
        strand = lane.strands.get(waiting.ask.tenant)
        if strand is None or waiting not in strand.asks:
            return False
        first = strand.asks[0] is waiting
        strand.asks.remove(waiting)
        self._leaves(lane, strand.account, waiting)
        self._recount(lane)
        if first:
            self._settle(lane, strand)
            if lane.strands:
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
            for strand in tuple(lane.strands.values()):
                for waiting in strand.asks:
                    gone.append((lane, waiting))
                    self._leaves(lane, strand.account, waiting)
                strand.asks = []
                self._settle(lane, strand)
            self._recount(lane)
        return gone

    def _queued(self, before: Before | None) -> Iterator[Due]:
        """All that waits, as it stands for an ask that has this before it.

        For one within its share only those count that are within theirs; for one beyond it, they
        are run first, whenever they are due.
        """
        for lane in self._lanes.values():
            cost_s = lane.cost_ms / max(1, lane.rows - lane.late) / self._workers / 1e3
            for strand in lane.strands.values():
                first = before is not None and self._shares.within(strand.account)
                if before is not None and before.within and not first:
                    continue
                ahead = before is not None and first and not before.within
                for one in strand.asks:
                    yield Due(-inf if ahead and one.due < inf else one.due, one.rows * cost_s)

    def _strand(self, lane: Lane, waiting: Waiting) -> Strand:
        """Where it is to wait; from now on it counts as its tenant's."""
        ask = waiting.ask
        if waiting.due < inf:
            queued_ms = waiting.cost_ms = lane.cost_ms * waiting.rows / (lane.rows - lane.late)
        else:  # it stands before nobody
            queued_ms = 0.0
            waiting.cost_ms = lane.holding.forecast.run_ms(waiting.rows, QUEUE_PERCENTILE)
        account = self._shares.queued(ask.tenant, ask.share, queued_ms, waiting.arrived)
        strand = lane.strands.get(ask.tenant)
        if strand is None:
            strand = lane.add(ask.tenant, account)
            self._strands.setdefault(account, []).append(strand)
        return strand

    def _put_down(self, lane: Lane, batch: Batch, now: float) -> None:
        """What has become of those that were looked at."""
        strands, shares = lane.strands, self._shares
        if batch.members:
            shares.serves(strands[batch.members[0].ask.tenant].account)
        for waiting in batch.members:
            account = strands[waiting.ask.tenant].account
            self._leaves(lane, account, waiting)
            shares.ran(account, waiting.cost_ms, now)
        for waiting in batch.late:
            self._leaves(lane, strands[waiting.ask.tenant].account, waiting)
        for waiting in batch.postponed:
            strand = strands[waiting.ask.tenant]
            if waiting.due < inf:
                lane.late += waiting.rows
                waiting.due = inf
                shares.put_off(strand.account, waiting.cost_ms)
            strand.insert(waiting)
        self._recount(lane)

    def _leaves(self, lane: Lane, account: Account, waiting: Waiting) -> None:
        """It waits no more."""
        self._count(lane, waiting, -waiting.rows)
        self._shares.left(account, waiting.cost_ms if waiting.due < inf else 0.0)

    def _count(self, lane: Lane, waiting: Waiting, rows: int) -> None:
        lane.rows += rows
        self.rows += rows
        if waiting.due == inf:
            lane.late += rows

    def _settle(self, lane: Lane, strand: Strand) -> None:
        """Its first ask is another now; or it has none, and is gone."""
        if strand.asks:
            self._moved(lane, strand)
            return
        del lane.strands[strand.tenant]
        strands = self._strands[strand.account]
        strands.remove(strand)
        if not strands:
            del self._strands[strand.account]

    def _moved(self, lane: Lane, strand: Strand) -> None:
        if len(lane.strands) > 1:
            lane.put(strand)

    def _reorder(self) -> None:
        """Put those whose rank has changed where they belong now."""
        moved = self._shares.moved
        while moved:
            for strand in self._strands.get(moved.pop(), ()):
                if strand.asks[0].due < inf:  # what is late anyway is behind all, whatever the rank
                    self._moved(strand.lane, strand)
                    self._offer(strand.lane)

    def _recount(self, lane: Lane) -> None:
        """Keep the sum; forget a lane that is empty."""
        rows = lane.rows - lane.late
        cost_ms = lane.holding.forecast.work_ms(rows, QUEUE_PERCENTILE) if rows else 0.0
        self.queued_ms = max(0.0, self.queued_ms + cost_ms - lane.cost_ms)
        lane.cost_ms = cost_ms
        if not lane.rows:
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
            heappush(heap, self._entry(lane))
            if len(heap) > STALE + 4 * len(self._lanes):  # most of them count no more
                short = lane.key[2]
                offered = [e for e in self._lanes.values() if e.key[2] == short and e.holding.free]
                heap[:] = sorted([self._entry(each) for each in offered if each.strands])

    def _entry(self, lane: Lane) -> tuple[float, float, int, Lane]:
        first = lane.first()
        return first.rank, first.asks[0].due, next(self._tie), lane

    def _first(self, heap: list[tuple[float, float, int, Lane]]) -> Lane | None:
        while heap:
            rank, due, _, lane = heap[0]
            if lane.strands and lane.holding.free and lane.first().stands(rank, due):
                return lane
            heappop(heap)
        return None
