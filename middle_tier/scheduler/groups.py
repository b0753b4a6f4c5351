"""A task's groups as the planner reads them, with what can be kept from one decision to the next.

What a kind of want leaves of the groups (a lens) is kept until the table's shape changes. Queues,
links, corrections and membership are as they are now for every decision: the task has them side by
side, and is told which of them have changed. What a lens leaves out is infinitely far away for it.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.changes import Copy, Lines
from middle_tier.scheduler.cost import usd_per_byte
from middle_tier.scheduler.filters import STANDING, Facts, Mask
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
    """Columns for one batch size and percentile, one line for each of the task's rows."""

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


class Ground(NamedTuple):
    """A task's groups, the most accurate first, and what stands while the shape does."""

    rows: Rows
    facts: Facts
    pool: Rows
    prices: Prices
    inaccuracy: list[float]
    """Of each row, the accuracy with its sign turned: never falls."""
    usd_per_byte: Floats | None
    """None: bytes are free everywhere."""
    bytes_usd: dict[int, Floats]
    """The same for so many bytes, remembered."""


@dataclass(slots=True)
class Lens:
    """Which of a task's groups one kind of want leaves; and why not the others."""

    ground: Ground
    inside: Mask
    barrier: Floats | None
    """Nothing for those that it leaves, infinite for the others; None: it leaves all."""
    out: tuple[tuple[str, Rows], ...]
    """Reason -> rows."""
    live: int = -1
    live_sum: Rows = field(default_factory=lambda: np.zeros(1, np.intp))
    """How many of the first n rows are left and have a node, by n."""
    live_out: dict[str, int] = field(default_factory=dict)


class Groups:
    """The read side of the table for one task."""

    def __init__(self, task: str, table: Table, here: Tier) -> None:
        self.task = task
        self.table = table
        self.here = here
        self._shape = -1
        self._policy: Policy | None = None
        self._ground: Ground = self._laid(np.empty(0, np.intp), Policy())
        self._copy = Copy(self._ground.rows, table.sums.changes)
        self._timings: dict[tuple[int, float], Timing] = {}
        self._lenses: dict[tuple[object, ...], Lens] = {}
        self._links = -1
        self._ways: dict[tuple[float, int], Floats] = {}
        """Link and transfer by (percentile, bytes), while `_links` is the table's."""

    def __repr__(self) -> str:
        rows, lenses = len(self._ground.rows), len(self._lenses)
        return f"<Groups {self.task} | {rows} rows | {lenses} lenses>"

    def lens(self, demand: Demand, policy: Policy) -> Lens:
        """Return what is left of the groups for wants of this kind."""
        self.renew()
        if self.table.shape[self.task] != self._shape or policy is not self._policy:
            self._reset(policy)
            self.renew()
        want = demand.want
        kind = (want.variant, want.architecture, demand.tiers, demand.hops, demand.permit)
        lens = self._lenses.get(kind)
        if lens is None:
            while len(self._lenses) >= LENSES:
                del self._lenses[next(iter(self._lenses))]
            lens = self._lenses[kind] = self._grind(demand, policy)
        if lens.live != self.table.live:
            self._count_live(lens)
        return lens

    def now(self) -> Lines:
        """Return the lines that change all the time (`Columns.now`), of the ground's rows.

        And one entry more, which means nothing.
        """
        return self._copy.lines

    def timing(self, batch: int, percentile: float) -> Timing:
        """Return run times and prices for this many rows at this percentile."""
        key = (batch, percentile)
        timing = self._timings.get(key)
        if timing is None:
            timing = self._begin(batch, percentile)
        else:
            self._mend(timing, batch, percentile)
        timing.idle = 0
        return timing

    def renew(self) -> None:
        """Take in what has been heard. A decision does; whoever does before spares it the time."""
        self.table.settle()
        self._copy.renew(self.table.columns.now)

    def freshen(self) -> None:
        """Take what has changed into all that is kept and in use: no decision has to then."""
        if self.table.shape.get(self.task) != self._shape:
            return
        self.renew()
        for (batch, percentile), whole in self._timings.items():
            whole.idle += 1
            if whole.idle <= IDLE:
                self._mend(whole, batch, percentile)

    def _begin(self, batch: int, percentile: float) -> Timing:
        """Return new columns; those of the median are shared with others for as many rows."""
        timings = self._timings
        while len(timings) >= TIMINGS:
            del timings[next(iter(timings))]
        timing = self._timed(np.arange(len(self._ground.rows)), batch, percentile)
        for (rows, at), other in timings.items():
            if rows == batch:
                self._mend(other, rows, at)
                timing.busy_usd, timing.beside_usd = other.busy_usd, other.beside_usd
                break
        timings[batch, percentile] = timing
        return timing

    def _timed(self, places: Rows, batch: int, percentile: float) -> Timing:
        columns, ground = self.table.columns, self._ground
        rows, prices = ground.rows.take(places), ground.prices
        run, median = (run_ms(columns, rows, batch, each) for each in (percentile, 50.0))
        busy, beside = prices.busy.take(places), prices.beside.take(places)
        return Timing(self.table.sums.reshaped.count, run, median * busy, median * beside)

    def _mend(self, timing: Timing, batch: int, percentile: float) -> None:
        """Take the run times that have changed into a timing."""
        reshaped = self.table.sums.reshaped
        if timing.seen == reshaped.count:
            return
        changed, timing.seen = reshaped.since(timing.seen), reshaped.count
        rows = self._ground.rows
        places = np.arange(len(rows)) if changed is None else self._copy.places(changed)
        if not len(places):
            return
        new = self._timed(places, batch, percentile)
        timing.run_ms[places] = new.run_ms
        timing.busy_usd[places] = new.busy_usd
        timing.beside_usd[places] = new.beside_usd
        for row in rows.take(places).tolist():
            timing.opened.pop(row, None)

    def way_ms(self, percentile: float, nbytes: int) -> Floats:
        """Return the best link of each row's pool, with the transfer of so many bytes."""
        sums = self.table.sums
        if self._links != sums.links or len(self._ways) > TIMINGS:
            self._links = sums.links
            self._ways.clear()
        way = self._ways.get((percentile, nbytes))
        if way is None:
            pools = at_percentile(sums.pool_way[:, :-1], percentile)
            pools = pools + nbytes * sums.pool_way[:, -1]
            way = self._ways[percentile, nbytes] = pools.take(self._ground.pool)
        return way

    def _reset(self, policy: Policy) -> None:
        """Begin anew: the task's rows are those of the pools that run a variant of it."""
        self._shape = self.table.shape[self.task]
        self._policy = policy
        self._lenses.clear()
        self._timings.clear()
        self._ways.clear()
        rows = [
            pool.first + half + at
            for pool in self.table.by_key.values()
            for at, info in enumerate(pool.infos)
            if info.task == self.task
            for half in (0, pool.size)
        ]
        found = np.array(rows, np.intp)
        ordered = found[np.argsort(-self.table.columns.accuracy[found], kind="stable")]
        self._ground = self._laid(ordered, policy)
        self._copy = Copy(ordered, self.table.sums.changes)

    def _laid(self, rows: Rows, policy: Policy) -> Ground:
        columns = self.table.columns
        price = usd_per_byte(policy, self.here)[columns.tier[rows]]
        facts = Facts(
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
        return Ground(
            rows,
            facts,
            columns.pool[rows],
            prices(self.table, rows, policy),
            (-facts.accuracy).tolist(),
            price if price.any() else None,
            {},
        )

    def _grind(self, demand: Demand, policy: Policy) -> Lens:
        ground = self._ground
        left = np.ones(len(ground.rows), np.bool_)
        out: list[tuple[str, Rows]] = []
        for standing in STANDING:
            mask = standing.out(demand, policy, ground.facts)
            if mask is not None and (mask & left).any():
                out.append((standing.reason, ground.rows[mask & left]))
                left &= ~mask
        barrier = None if left.all() else np.where(left, 0.0, np.inf)
        return Lens(ground, left, barrier, tuple(out))

    def _count_live(self, lens: Lens) -> None:
        nodes, rows = self.table.columns.nodes, lens.ground.rows
        lens.live = self.table.live
        lens.live_sum = np.zeros(len(rows) + 1, np.intp)
        np.cumsum((nodes[rows] > 0) & lens.inside, out=lens.live_sum[1:])
        counted = ((reason, int((nodes[rows] > 0).sum())) for reason, rows in lens.out)
        lens.live_out = {reason: count for reason, count in counted if count}


def accurate(ground: Ground, least: float) -> int:
    """Return how many of the ground's rows are accurate enough: those are the first ones."""
    return bisect_right(ground.inaccuracy, -least)


def bytes_usd(ground: Ground, nbytes: int) -> Floats | None:
    """Return what so many bytes cost in each of its groups; None where they are free."""
    if ground.usd_per_byte is None:
        return None
    found = ground.bytes_usd.get(nbytes)
    if found is None:
        if len(ground.bytes_usd) >= TIMINGS:
            ground.bytes_usd.clear()
        found = ground.bytes_usd[nbytes] = nbytes * ground.usd_per_byte
    return found
