"""A task's groups as the planner reads them, with what can be kept from one decision to the next.

What a kind of want leaves of the groups (a lens) is kept until the table's shape changes. Queues,
links, corrections and membership are as they are now for every decision: the task has them side by
side, and is told which of them have changed. A lens that leaves some out picks from the task's.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.changes import Copy
from middle_tier.scheduler.cost import usd_per_byte
from middle_tier.scheduler.filters import STANDING, Facts
from middle_tier.scheduler.pick import Group
from middle_tier.scheduler.prices import Prices, prices
from middle_tier.scheduler.runs import at_percentile, run_ms
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Demand, Policy
from protocol.types import Tier

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

LENSES = 128
"""Kinds of want remembered by a task; the oldest is dropped first."""

TIMINGS = 64
"""Run-time columns (by rows and percentile), and columns of links, remembered at once."""

IDLE = 16
"""A timing that was not asked for while they were freshened so often is mended when it is."""


@dataclass(slots=True)
class Timing:
    """Columns for one batch size and percentile."""

    seen: int
    """How often run times had changed when it was made, or mended."""

    run_ms: Floats
    busy_usd: Floats
    beside_usd: Floats
    """What the energy of a run is worth beside its bill."""
    opened: dict[int, Group] = field(default_factory=dict)
    """Groups by their row: those that were picked from."""
    idle: int = 0
    """How often they were freshened since it was last asked for."""

    def of(self, places: Rows) -> "Timing":
        """Return the same of some of its rows."""
        run, busy, beside = self.run_ms, self.busy_usd, self.beside_usd
        return Timing(
            self.seen, run.take(places), busy.take(places), beside.take(places), self.opened
        )


@dataclass(slots=True)
class Lens:
    """The groups that one kind of want leaves, the most accurate first; and why not the others."""

    rows: Rows
    places: Rows | None
    """Where they are among the task's rows; None: they are all of those."""
    facts: Facts
    pool: Rows
    usd_per_byte: Floats | None
    """None: bytes are free everywhere."""
    out: tuple[tuple[str, Rows], ...]
    """Reason -> rows."""
    prices: Prices
    inaccuracy: list[float]
    """Of each row, the accuracy with its sign turned: never falls."""
    timings: dict[tuple[int, float], Timing] = field(default_factory=dict)
    links: int = -1
    ways: dict[tuple[float, int], Floats] = field(default_factory=dict)
    """Link and transfer by (percentile, bytes), while `links` is the table's."""
    live: int = -1
    live_sum: Rows = field(default_factory=lambda: np.zeros(1, np.intp))
    """How many of the first n rows have a node, by n."""
    live_out: dict[str, int] = field(default_factory=dict)


class Groups:
    """The read side of the table for one task."""

    def __init__(self, task: str, table: Table, here: Tier) -> None:
        self.task = task
        self.table = table
        self.here = here
        self._shape = -1
        self._policy: Policy | None = None
        self._rows: Rows = np.empty(0, np.intp)
        self._prices: Prices = prices(table, self._rows, Policy())
        self._copy = Copy(self._rows, table.sums.changes)
        self._timings: dict[tuple[int, float], Timing] = {}
        """Of all the task's rows."""
        self._lenses: dict[tuple[object, ...], Lens] = {}

    def __repr__(self) -> str:
        return f"<Groups {self.task} | {len(self._rows)} rows | {len(self._lenses)} lenses>"

    def lens(self, demand: Demand, policy: Policy) -> Lens:
        """Return what is left of the groups for wants of this kind."""
        self.table.settle()
        if self.table.shape[self.task] != self._shape or policy is not self._policy:
            self._reset(policy)
        want = demand.want
        kind = (want.variant, want.architecture, demand.tiers, demand.hops, demand.permit)
        lens = self._lenses.get(kind)
        if lens is None:
            while len(self._lenses) >= LENSES:
                del self._lenses[next(iter(self._lenses))]
            lens = self._lenses[kind] = self._grind(demand, policy)
        self._copy.renew(self.table.columns.now)
        if lens.live != self.table.live:
            self._count_live(lens)
        return lens

    def now(self, lens: Lens, size: int) -> Floats:
        """Return the lines that change all the time, of a lens' first rows."""
        now = self._copy.now
        return now[:, :size] if lens.places is None else now.take(lens.places[:size], axis=1)

    def timing(self, lens: Lens, batch: int, percentile: float) -> Timing:
        """Return the run times and prices of a lens' rows for this many rows at this percentile."""
        key = (batch, percentile)
        whole = self._timings.get(key)
        if whole is None:
            _make_room(self._timings)
            whole = self._timings[key] = self._timed(np.arange(len(self._rows)), batch, percentile)
        elif whole.seen != self.table.sums.reshaped.count:
            self._mend(whole, batch, percentile)
        whole.idle = 0
        if lens.places is None:
            return whole
        own = lens.timings.get(key)
        if own is None or own.seen != whole.seen or own.opened is not whole.opened:
            lens.timings.pop(key, None)
            _make_room(lens.timings)
            own = lens.timings[key] = whole.of(lens.places)
        return own

    def freshen(self) -> None:
        """Take what has changed into all that is kept and in use: no decision has to then."""
        if self.table.shape.get(self.task) != self._shape:
            return
        self.table.settle()
        self._copy.renew(self.table.columns.now)
        for (batch, percentile), whole in self._timings.items():
            whole.idle += 1
            if whole.idle <= IDLE and whole.seen != self.table.sums.reshaped.count:
                self._mend(whole, batch, percentile)

    def _timed(self, places: Rows, batch: int, percentile: float) -> Timing:
        columns, rows = self.table.columns, self._rows.take(places)
        run, median = (run_ms(columns, rows, batch, each) for each in (percentile, 50.0))
        busy, beside = self._prices.busy.take(places), self._prices.beside.take(places)
        return Timing(self.table.sums.reshaped.count, run, median * busy, median * beside)

    def _mend(self, timing: Timing, batch: int, percentile: float) -> None:
        """Take the run times that have changed into a timing."""
        count, changed = self.table.sums.reshaped.count, self.table.sums.reshaped.since(timing.seen)
        timing.seen = count
        places = np.arange(len(self._rows)) if changed is None else self._copy.places(changed)
        if not len(places):
            return
        new = self._timed(places, batch, percentile)
        timing.run_ms[places] = new.run_ms
        timing.busy_usd[places] = new.busy_usd
        timing.beside_usd[places] = new.beside_usd
        for row in self._rows.take(places).tolist():
            timing.opened.pop(row, None)

    def way_ms(self, lens: Lens, percentile: float, nbytes: int) -> Floats:
        """Return the best link of each row's pool, with the transfer of so many bytes."""
        sums = self.table.sums
        if lens.links != sums.links or len(lens.ways) > TIMINGS:
            lens.links = sums.links
            lens.ways.clear()
        way = lens.ways.get((percentile, nbytes))
        if way is None:
            pools = at_percentile(sums.pool_way[:, :-1], percentile)
            way = lens.ways[percentile, nbytes] = (pools + nbytes * sums.pool_way[:, -1]).take(
                lens.pool
            )
        return way

    def _reset(self, policy: Policy) -> None:
        """Begin anew: the task's rows are those of the pools that run a variant of it."""
        self._shape = self.table.shape[self.task]
        self._policy = policy
        self._lenses.clear()
        self._timings.clear()
        rows = [
            pool.first + half + at
            for pool in self.table.by_key.values()
            for at, info in enumerate(pool.infos)
            if info.task == self.task
            for half in (0, pool.size)
        ]
        found = np.array(rows, np.intp)
        self._rows = found[np.argsort(-self.table.columns.accuracy[found], kind="stable")]
        self._prices = prices(self.table, self._rows, policy)
        self._copy = Copy(self._rows, self.table.sums.changes)

    def _grind(self, demand: Demand, policy: Policy) -> Lens:
        rows = self._rows
        facts = self._facts(rows)
        left = np.ones(len(rows), np.bool_)
        out: list[tuple[str, Rows]] = []
        for standing in STANDING:
            mask = standing.out(demand, policy, facts)
            if mask is not None and (mask & left).any():
                out.append((standing.reason, rows[mask & left]))
                left &= ~mask
        places = None if left.all() else left.nonzero()[0]
        rows = rows[left]
        columns = self.table.columns
        price = usd_per_byte(policy, self.here)[columns.tier[rows]]
        facts = self._facts(rows)
        return Lens(
            rows,
            places,
            facts,
            columns.pool[rows],
            price if price.any() else None,
            tuple(out),
            prices(self.table, rows, policy),
            (-facts.accuracy).tolist(),
        )

    def _facts(self, rows: Rows) -> Facts:
        columns = self.table.columns
        return Facts(
            code=self.table.code,
            variant=columns.variant[rows],
            architecture=columns.architecture[rows],
            tier=columns.tier[rows],
            site=columns.site[rows],
            state=columns.state[rows],
            across=columns.across[rows],
            accuracy=columns.accuracy[rows],
            sites=lambda: {key.site for key in self.table.by_key},
        )

    def _count_live(self, lens: Lens) -> None:
        nodes = self.table.columns.nodes
        lens.live = self.table.live
        lens.live_sum = np.zeros(len(lens.rows) + 1, np.intp)
        np.cumsum(nodes[lens.rows] > 0, out=lens.live_sum[1:])
        counted = ((reason, int((nodes[rows] > 0).sum())) for reason, rows in lens.out)
        lens.live_out = {reason: count for reason, count in counted if count}


def accurate(lens: Lens, least: float) -> int:
    """Return how many of a lens' rows are accurate enough: those are the first ones."""
    return bisect_right(lens.inaccuracy, -least)


def _make_room(timings: dict[tuple[int, float], Timing]) -> None:
    while len(timings) >= TIMINGS:
        del timings[next(iter(timings))]
