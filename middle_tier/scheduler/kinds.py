"""What a kind of demand (so many rows and bytes, a percentile) makes of a task's groups, kept.

That is all of a finish but the queue, and what is paid. It is kept current: few groups are
corrected at a time, and those in all kinds at once; what seldom changes is taken in by the view's
tick, or else when a kind is asked for.
"""

from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.changes import Places
from middle_tier.scheduler.columns import COLD, FACTOR, LEAST
from middle_tier.scheduler.grounds import Ground
from middle_tier.scheduler.lines import Line, Lines
from middle_tier.scheduler.pick import Group
from middle_tier.scheduler.runs import at_percentile, run_ms
from middle_tier.scheduler.table import Table

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Key = tuple[int, float, int]
"""Rows, percentile, bytes."""

KINDS = 64
"""Kinds, run-time columns (by rows and percentile), and links, remembered at once."""

BEGIN = 4
"""Room for so many kinds at first: most tasks are asked for in few ways."""

ONCE = 1024
"""Kinds of which it is known that they were asked for before."""

IDLE = 16
"""A kind that was not asked for while they were freshened so often is renewed when it is."""


@dataclass(slots=True)
class Timing:
    """Columns for one batch size and percentile, uncorrected, one line for each place."""

    seen: int
    """How often run times had changed when it was made, or mended."""

    run_ms: Floats
    busy_usd: Floats
    beside_usd: Floats
    """What the energy of a run is worth beside its bill."""
    opened: dict[int, Group] = field(default_factory=dict)
    """Groups by their place: those that were picked from."""


@dataclass(slots=True)
class Kind:
    """Lines by place."""

    timing: Timing
    alone_ms: Floats
    """What a finish takes beside the queue."""
    cost_usd: Floats
    worth_usd: Floats
    """What orders groups: the cost, and what the policy prefers beside it; mostly the same."""
    lines: tuple[Line, Line, Line]
    """Where those three come from."""
    fixed_ms: Floats | None = None
    seen: int = -1
    """How often what seldom changes had changed when it was renewed ..."""
    shaped: int = -1
    """... and run times."""
    idle: int = 0
    """How often they were freshened since it was last asked for."""


class Kinds:
    """The mutable state is the lines, and of which state of the table they are."""

    def __init__(self, table: Table, ground: Ground, places: Places) -> None:
        self._table = table
        self._ground = ground
        self._places = places
        self._timings: dict[tuple[int, float], Timing] = {}
        self._fixed: dict[tuple[float, int], Floats] = {}
        """Link, transfer and load by (percentile, bytes), while `_fixed_seen` is the table's."""
        self._fixed_seen = -1
        self._once: set[Key] = set()
        """Kinds that were asked for."""
        self.corrected = table.sums.corrected.count
        """How many corrections they know of."""
        self.least_load_ms = inf
        """No cold group takes less to load."""
        self._forget(BEGIN)

    def __repr__(self) -> str:
        return f"<Kinds {len(self._kinds)} of {len(self._ground.rows)} rows>"

    def _forget(self, room: int) -> None:
        """Begin anew, with room for so many kinds."""
        self._room = room
        self._kinds: dict[Key, Kind] = {}
        self._bills: dict[tuple[int, int], tuple[Line, Line]] = {}
        self._lines = Lines(3 * (1 + room), len(self._ground.rows))
        self._passing = self._lines.add(LEAST), *self._billed()

    def correct(self) -> None:
        """Take in how runs are corrected by now."""
        corrected = self._table.sums.corrected
        changed, self.corrected = corrected.since(self.corrected), corrected.count
        if changed is None:
            self._forget(self._room)
            return
        now = self._table.columns.now
        places = self._places.of(changed, now.shape[1])
        self._lines.correct(places, now.take(changed, axis=1))

    def get(self, batch: int, percentile: float, nbytes: int) -> Kind:
        """Return it as it is now; to be called when all that was heard is in the table."""
        key = batch, percentile, nbytes
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._begin(key)
        elif kind.seen != self._table.sums.seldom:
            self._renew(kind, key)
        kind.idle = 0
        return kind

    def freshen(self) -> None:
        """Renew all that is in use: no decision has to then."""
        for key, kind in self._kinds.items():
            kind.idle += 1
            if kind.idle <= IDLE and kind.seen != self._table.sums.seldom:
                self._renew(kind, key)

    def _begin(self, key: Key) -> Kind:
        """Return a new one; kept once it is asked for again, as sizes may be all different."""
        batch, percentile, nbytes = key
        if key in self._once:
            if len(self._kinds) >= self._room:
                self._forget(min(2 * self._room, KINDS))
            alone, (cost, worth) = self._lines.add(LEAST), self._bill(batch, nbytes)
        else:
            alone, cost, worth = self._passing
        timing = self._timing(batch, percentile)
        kind = Kind(timing, alone.now, cost.now, worth.now, (alone, cost, worth))
        self._renew(kind, key)
        if key in self._once:
            self._kinds[key] = kind
        elif len(self._once) >= ONCE:
            self._once.clear()
        self._once.add(key)
        return kind

    def _renew(self, kind: Kind, key: Key) -> None:
        """Take in what seldom changes."""
        batch, percentile, nbytes = key
        self._mend(kind.timing, batch, percentile)
        kind.seen, reshaped = self._table.sums.seldom, kind.shaped != kind.timing.seen
        fixed, (alone, cost, worth) = self._fixed_ms(percentile, nbytes), kind.lines
        if fixed is not kind.fixed_ms or reshaped:
            alone.put(kind.timing.run_ms, fixed, self._correction(LEAST))
            kind.fixed_ms = fixed
        if reshaped:
            kind.shaped, factor = kind.timing.seen, self._correction(FACTOR)
            carried = nbytes * self._ground.usd_per_byte
            busy, beside = kind.timing.busy_usd, kind.timing.beside_usd
            cost.put(busy, carried, factor)
            if worth is not cost:
                worth.put(busy + beside, carried - self._ground.prices.accuracy, factor)

    def _bill(self, batch: int, nbytes: int) -> tuple[Line, Line]:
        """Return the lines of what is paid, shared by all percentiles."""
        found = self._bills.get((batch, nbytes))
        if found is None:
            found = self._bills[batch, nbytes] = self._billed()
        return found

    def _billed(self) -> tuple[Line, Line]:
        cost = self._lines.add(FACTOR)
        return cost, self._lines.add(FACTOR) if self._ground.prices.preferring else cost

    def _correction(self, line: int) -> Floats:
        correction: Floats = self._table.columns.now[line].take(self._ground.rows)
        return correction

    # -- runs ----------------------------------------------------------------------------------

    def _timing(self, batch: int, percentile: float) -> Timing:
        """Return new columns; those of the median are shared with others for as many rows."""
        timings = self._timings
        timing = timings.get((batch, percentile))
        if timing is not None:
            return timing
        while len(timings) >= KINDS:
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
        columns, ground = self._table.columns, self._ground
        rows, prices = ground.rows.take(places), ground.prices
        run, median = (run_ms(columns, rows, batch, each) for each in (percentile, 50.0))
        busy, beside = prices.busy.take(places), prices.beside.take(places)
        return Timing(self._table.sums.reshaped.count, run, median * busy, median * beside)

    def _mend(self, timing: Timing, batch: int, percentile: float) -> None:
        """Take the run times that have changed into a timing."""
        reshaped, rows = self._table.sums.reshaped, self._ground.rows
        if timing.seen == reshaped.count:
            return
        changed, timing.seen = reshaped.since(timing.seen), reshaped.count
        if changed is None:
            places = np.arange(len(rows))
        else:
            found = self._places.of(np.unique(changed), self._table.columns.now.shape[1])
            places = found[found < len(rows)]
        if not len(places):
            return
        new = self._timed(places, batch, percentile)
        timing.run_ms[places] = new.run_ms
        timing.busy_usd[places] = new.busy_usd
        timing.beside_usd[places] = new.beside_usd
        for place in places.tolist():
            timing.opened.pop(place, None)

    # -- links and loads -----------------------------------------------------------------------

    def _fixed_ms(self, percentile: float, nbytes: int) -> Floats:
        """Return the best link of each group's pool, a transfer of so many bytes, and the load."""
        sums, ground = self._table.sums, self._ground
        if self._fixed_seen != sums.seldom or len(self._fixed) > KINDS:
            self._fixed_seen = sums.seldom
            self._fixed.clear()
            loads = self._correction(COLD)[: ground.middle]
            self.least_load_ms = loads.min().item() if len(loads) else inf
        fixed = self._fixed.get((percentile, nbytes))
        if fixed is None:
            pools = at_percentile(sums.pool_way[:, :-1], percentile)
            pools = pools + nbytes * sums.pool_way[:, -1]
            fixed = pools.take(ground.pool)
            fixed += self._correction(COLD)
            self._fixed[percentile, nbytes] = fixed
        return fixed
