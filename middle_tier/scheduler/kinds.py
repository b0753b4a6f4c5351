"""What a kind of demand (so many rows and bytes, a percentile) makes of a task's groups, kept.

That is all of a finish but the queue, and what is paid. It is kept current: few groups are
corrected at a time, and those in all kinds at once; what seldom changes is taken in by the view's
tick, or else when a kind is asked for.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.changes import Places
from middle_tier.scheduler.columns import COLD, FACTOR, LEAST
from middle_tier.scheduler.grounds import Ground
from middle_tier.scheduler.lines import Line, Lines
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


@dataclass(slots=True)
class Kind:
    """Lines by place."""

    timing: Timing
    alone_ms: Floats
    """What a finish takes beside the queue."""
    cost_usd: Floats
    worth_usd: Floats
    """What orders groups: the cost, and what the policy prefers beside it; mostly the same."""
    lines: tuple[Line, ...] = ()
    """Where those three come from; nowhere when it is not kept."""
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
        self._still: dict[float, Floats] = {}
        """Link and load by percentile, while `_still_seen` is the table's ..."""
        self._byte_ms: Floats = np.empty(0)
        """... as is what a byte takes."""
        self._still_seen = -1
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
        self._lines = Lines(2 + 3 * room, len(self._ground.rows))
        self._least, self._factor = (self._plain(sort) for sort in (LEAST, FACTOR))

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
        timing = self._timing(batch, percentile)
        if key not in self._once:
            if len(self._once) >= ONCE:
                self._once.clear()
            self._once.add(key)
            return self._passing(timing, key)
        if len(self._kinds) >= self._room:
            self._forget(min(2 * self._room, KINDS))
        alone, (cost, worth) = self._lines.add(LEAST), self._bill(batch, nbytes)
        kind = Kind(timing, alone.now, cost.now, worth.now, (alone, cost, worth))
        self._kinds[key] = kind
        self._renew(kind, key)
        return kind

    def _passing(self, timing: Timing, key: Key) -> Kind:
        least, factor, ground = self._least.now, self._factor.now, self._ground
        alone = timing.run_ms * least
        alone += self._fixed_ms(key)
        worth = cost = timing.busy_usd * factor
        carried = ground.carried_usd(key[-1])
        if carried is not None:
            cost += carried
        if ground.prices.preferring:
            worth = (timing.busy_usd + timing.beside_usd) * factor
            worth += (0.0 if carried is None else carried) - ground.prices.accuracy
        return Kind(timing, alone, cost, worth)

    def _renew(self, kind: Kind, key: Key) -> None:
        """Take in what seldom changes."""
        timing, (alone, cost, worth) = kind.timing, kind.lines
        self._mend(timing, key[0], key[1])
        kind.seen = self._table.sums.seldom
        alone.put(timing.run_ms, self._fixed_ms(key), self._least.now)
        if kind.shaped != timing.seen:
            kind.shaped, factor = timing.seen, self._factor.now
            carried = self._ground.carried_usd(key[-1])
            carried = np.zeros(1) if carried is None else carried
            cost.put(timing.busy_usd, carried, factor)
            if worth is not cost:
                each = timing.busy_usd + timing.beside_usd
                worth.put(each, carried - self._ground.prices.accuracy, factor)

    def _bill(self, batch: int, nbytes: int) -> tuple[Line, Line]:
        """Return the lines of what is paid, shared by all percentiles."""
        found = self._bills.get((batch, nbytes))
        if found is None:
            found = self._bills[batch, nbytes] = self._billed()
        return found

    def _billed(self) -> tuple[Line, Line]:
        cost = self._lines.add(FACTOR)
        return cost, self._lines.add(FACTOR) if self._ground.prices.preferring else cost

    def _plain(self, sort: int) -> Line:
        """Return a line of nothing but corrections."""
        line, one = self._lines.add(sort), np.ones(1)
        line.put(one, 0.0 * one, self._of_table(sort))
        return line

    def _of_table(self, line: int) -> Floats:
        found: Floats = self._table.columns.now[line].take(self._ground.rows)
        return found

    # -- runs ----------------------------------------------------------------------------------

    def _timing(self, batch: int, percentile: float) -> Timing:
        """Return new columns; those of the median are shared with others for as many rows."""
        timings = self._timings
        timing = timings.get((batch, percentile))
        if timing is not None:
            self._mend(timing, batch, percentile)
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

    # -- links and loads -----------------------------------------------------------------------

    def _fixed_ms(self, key: Key) -> Floats:
        """Return the best link of each group's pool, a transfer of so many bytes, and the load."""
        _, percentile, nbytes = key
        sums, pool = self._table.sums, self._ground.pool
        if self._still_seen != sums.seldom:
            self._still_seen = sums.seldom
            self._still.clear()
            self._byte_ms = sums.pool_way[:, -1].take(pool)
            loads = self._of_table(COLD)[: self._ground.middle]
            self.least_load_ms = loads.min().item() if len(loads) else inf
        still = self._still.get(percentile)
        if still is None:
            if len(self._still) >= KINDS:
                self._still.clear()
            still = at_percentile(sums.pool_way[:, :-1], percentile).take(pool)
            still += self._of_table(COLD)
            self._still[percentile] = still
        fixed: Floats = self._byte_ms * np.array(float(nbytes))
        fixed += still
        return fixed
