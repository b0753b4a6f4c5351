"""Pure. A lane: asks that could run together, in a strand for each tenant, earliest due first.

Whose strand is next follows from the ranks that shares gives to tenants.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from operator import attrgetter

from edge_agent.queue.batching import Waiting
from edge_agent.queue.intake import Shapes
from edge_agent.queue.shares import Account
from edge_agent.stock.holdings import Holding

_due = attrgetter("due")
STALE = 64
"""Entries of a heap that may count no more, beside four for each that may: then it is made anew."""

Key = tuple[str, Shapes, bool]
"""Variant, shapes, and whether one alone runs in less time than handing it to a thread takes."""


@dataclass(slots=True, eq=False)
class Strand:
    """One tenant's asks in a lane, by `due`."""

    lane: "Lane"
    tenant: str
    account: Account
    asks: list[Waiting] = field(default_factory=list)

    @property
    def rank(self) -> float:
        """Its tenant's; that of what is late anyway is behind all others."""
        return self.account.rank if self.asks[0].due < inf else inf

    def stands(self, rank: float, due: float) -> bool:
        """Whether that is its place still: its rank, and when its first ask is due."""
        asks = self.asks
        return bool(asks) and asks[0].due == due and (due == inf or self.account.rank == rank)

    def insert(self, waiting: Waiting) -> None:
        asks = self.asks
        if not asks or asks[-1].due <= waiting.due:
            asks.append(waiting)
        else:
            insort(asks, waiting, key=_due)


@dataclass(slots=True, eq=False)
class Lane:
    """Asks that could run together.

    While there are several strands, `_order` is a heap of (rank, due, tie, strand). An entry counts
    while its strand stands there; others are dropped when they come up.
    """

    key: Key
    holding: Holding
    rows: int = 0
    late: int = 0
    """Rows of those that miss their objectives anyway: they wait for all the others."""
    cost_ms: float = 0.0
    """Predicted time of the others, as if the lane ran by itself."""
    strands: dict[str, Strand] = field(default_factory=dict)
    """By tenant."""
    _order: list[tuple[float, float, int, Strand]] = field(default_factory=list)
    _tie: Iterator[int] = field(default_factory=count)

    @property
    def asks(self) -> list[Waiting]:
        """All of them, in the order in which they run."""
        every = [one for strand in self.strands.values() for one in strand.asks]
        return sorted(every, key=self._place)

    def _place(self, one: Waiting) -> tuple[float, float]:
        rank = self.strands[one.ask.tenant].account.rank
        return rank if one.due < inf else inf, one.due

    def first(self) -> Strand:
        """The strand whose turn it is; the lane is not empty."""
        if len(self.strands) == 1:
            return next(iter(self.strands.values()))
        while True:
            rank, due, _, strand = self._order[0]
            if strand.stands(rank, due):
                return strand
            heappop(self._order)

    def add(self, tenant: str, account: Account) -> Strand:
        """Return a new strand of this tenant."""
        if len(self.strands) == 1:
            self.put(self.first())
        strand = self.strands[tenant] = Strand(self, tenant, account)
        return strand

    def put(self, strand: Strand) -> None:
        """Its place has changed: keep it in order among the others."""
        heappush(self._order, self._entry(strand))
        if len(self._order) > STALE + 4 * len(self.strands):  # most of them count no more
            waiting = [each for each in self.strands.values() if each.asks]
            self._order = sorted([self._entry(each) for each in waiting])

    def _entry(self, strand: Strand) -> tuple[float, float, int, Strand]:
        return strand.rank, strand.asks[0].due, next(self._tie), strand

    def in_turn(self, offered: list[tuple[Strand, Waiting]]) -> Iterator[Waiting]:
        """Take out its asks, in the order in which they run; what was taken is in `offered`."""
        while self._order:
            rank, due, _, strand = heappop(self._order)
            if strand.stands(rank, due):
                waiting = strand.asks.pop(0)
                offered.append((strand, waiting))
                if strand.asks:
                    self.put(strand)
                yield waiting
