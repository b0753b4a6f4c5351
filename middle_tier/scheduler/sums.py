"""What rows and pools sum up of their members: least queue, best link, smallest correction.

A sum is a bound: no (scanned) member is better than it says. Who is in which row is in table.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from edge_agent.admission import transfer_ms
from middle_tier.scheduler.changes import Changes
from middle_tier.scheduler.columns import (
    FACTOR,
    FREE,
    LEAST,
    OWN,
    SCAN,
    Columns,
    Floats,
    grown,
    widened,
)
from middle_tier.scheduler.members import Ints, Member, Pool
from middle_tier.scheduler.paces import quick, quickest
from protocol.types import QUANTILES

WAY = len(QUANTILES) + 1

DIRTY_LIMIT = 32
"""Changes of load that may wait for the next decision."""


SLIGHT = 0.05
"""A correction below this is none."""


class Sums:
    """Members by slot, and what changes about them while they stay where they are."""

    def __init__(self, columns: Columns) -> None:
        self.members: list[Member | None] = [None]
        self.seldom = 0
        """How often a pool's link, what loading takes, or how run times scatter, has changed."""
        self.pool_way: Floats = np.zeros((0, WAY))
        """Of (up to `SCAN` of) a pool's members the best link, and the fewest ms per byte.

        The link at each of `QUANTILES`.
        """
        self.queued = Changes()
        """Of what rows say of queues."""
        self.corrected = Changes()
        """Of what they say of corrections of run times."""
        self.reshaped = Changes()
        """Of what rows say of run times, while the shape stays as it is."""
        self._columns = columns
        self._load: Floats = np.full((2, 1), np.inf)
        """`free_at_ms` and `own_ms` by slot; slot 0 is nobody."""
        self._way: Floats = np.full((1, WAY), np.inf)
        self._free_slots: list[int] = []
        self._dirty: dict[Member, None] = {}
        self._corrected: dict[Pool, set[str] | None] = {}
        """Whose runs are to be summed up, by variant; None: all."""
        self._relinked: set[Member] = set()

    def __repr__(self) -> str:
        count = len(self.members) - 1 - len(self._free_slots)
        return f"<Sums of {count} members | {len(self._dirty)} to settle>"

    def enter(self, member: Member) -> None:
        """Give a member a slot, unless it has one."""
        if member.slot:
            return
        if self._free_slots:
            member.slot = self._free_slots.pop()
            self.members[member.slot] = member
            return
        member.slot = len(self.members)
        self.members.append(member)
        size = len(self._way)
        if member.slot >= size:
            self._load = widened(self._load, 2 * size + 16)
            self._way = grown(self._way, 2 * size + 16)
            self._way[size:] = np.inf

    def leave(self, member: Member) -> None:
        """Take a member's slot away."""
        if member.slot:
            self._dirty.pop(member, None)
            self._relinked.discard(member)
            self._load[:, member.slot] = self._way[member.slot] = np.inf
            self.members[member.slot] = None
            self._free_slots.append(member.slot)
            member.slot = 0

    def make_room(self, pools: int) -> None:
        """See that there are rows for this many pools."""
        if pools > len(self.pool_way):
            self.pool_way = grown(self.pool_way, 2 * pools + 16)

    # -- who is looked at ----------------------------------------------------------------------

    def rescan(self, row: int, crowd: list[Member], changed: Member) -> None:
        """Note who is in the crowd of a warm row, after one came or went."""
        _rescan(self._columns.scan[row], crowd, changed)

    def sum_load(self, row: int) -> None:
        """Take the queues of a row's members into it, after one has gone."""
        self._columns.load[:, row] = self._least(self._columns.scan[row])
        self.queued.add(np.array([row]))

    def rescan_pool(self, pool: Pool, changed: Member) -> None:
        """Note who is in a pool, after one came or went."""
        _rescan(self._columns.scan[pool.own_row], pool.members, changed)

    # -- what changes --------------------------------------------------------------------------

    def touch(self, member: Member) -> None:
        """Say that a member's queue has changed."""
        if member.slot:
            self._dirty.pop(member, None)  # to the end, as whoever was heard last is sampled
            self._dirty[member] = None
        if len(self._dirty) >= DIRTY_LIMIT:
            self.settle()

    def settle(self) -> None:
        """Bring the rows of all that has changed up to date: all at once, as it is little."""
        if self._relinked:
            self._settle_links()
        if self._corrected:
            self._settle_factors()
        if self._dirty:
            placed = [member for member in self._dirty if self._note_load(member)]
            self._dirty.clear()
            if placed:
                self._sum_loads(placed)

    def _note_load(self, member: Member) -> bool:
        """Take a member's own figures; return whether it stands in a pool."""
        load, pool = self._load, member.pool
        load[0, member.slot], load[1, member.slot] = member.free_at_ms, member.own_ms
        if pool is not None and len(pool.members) > SCAN:
            self._sample(member, pool)
        return pool is not None

    def _sum_loads(self, placed: list[Member]) -> None:
        now = self._columns.now
        free, own = now[FREE], now[OWN]
        rows = placed[0].rows
        if len(placed) > 1:
            rows = np.concatenate([member.rows for member in placed])
        free[rows], own[rows] = self._least(self._columns.scan.take(rows, 0))
        self.queued.add(rows)
        for pool in {member.pool for member in placed}:
            if pool is not None and len(pool.cold):
                told = free.item(pool.own_row), own.item(pool.own_row)
                if pool.told != told:
                    pool.told = told
                    free[pool.cold], own[pool.cold] = told
                    self.queued.add(pool.cold)

    def _sample(self, member: Member, pool: Pool) -> None:
        """Take a member that was heard of into the samples of large crowds."""
        place, slot, scan = member.slot % SCAN, member.slot, self._columns.scan
        scan[pool.own_row, place] = slot
        nodes = self._columns.nodes
        for row in member.warm:
            if nodes.item(row) > SCAN:
                scan[row, place] = slot

    def _least(self, slots: Ints) -> Floats:
        """Return the smallest of both figures among the members in the last axis of `slots`."""
        least: Floats = np.minimum.reduce(self._load.take(slots, axis=1), axis=-1)
        return least

    def relink(self, member: Member) -> None:
        """Say that a member's link has changed."""
        member.ways_ms = member.link.ms
        member.link_at.clear()
        if member.slot:
            self._relinked.add(member)

    def _settle_links(self) -> None:
        pools = set()
        for member in self._relinked:
            if member.pool is not None:
                pools.add(member.pool)
                self._way[member.slot] = (*member.link.ms, transfer_ms(1, member.mbps))
        self._relinked.clear()
        for pool in pools:
            least = np.minimum.reduce(self._way.take(self._columns.scan[pool.own_row], 0))
            if (least != self.pool_way[pool.number]).any():
                self.pool_way[pool.number] = least
                self.seldom += 1

    def set_factor(self, member: Member, variant: str, factor: float) -> None:
        """Correct one member's run times of one variant, over what its class takes."""
        member.factors[variant] = factor
        pool = member.pool
        if pool is not None and variant in pool.index:
            self.sum_factors(pool, variant)

    def set_class_factor(self, pool: Pool, variant: str, factor: float) -> None:
        """Correct a variant's run times for those of a pool that have no factor of their own."""
        self.note_class_factor(pool, variant, factor)
        self.sum_factors(pool, variant)

    def note_class_factor(self, pool: Pool, variant: str, factor: float) -> None:
        """The same, without summing up: more is to come, and then `sum_factors`."""
        column, warm = self._columns.factor, pool.first + pool.index[variant]
        column[warm] = column[warm + pool.size] = factor

    def set_pace(self, member: Member, pace: float) -> None:
        """Correct one member's run times of all variants."""
        member.pace = pace
        if member.pool is not None and len(member.pool.members) <= SCAN:
            self.sum_all_factors(member.pool)

    def shift_class(self, pool: Pool, by: float, least: float, most: float) -> None:
        """Correct the run times of all variants of a pool, within limits."""
        block = slice(pool.first, pool.own_row)
        factor = self._columns.factor[block]
        np.clip(factor * by, least, most, out=factor)
        self.sum_all_factors(pool)

    def fade_class(self, pool: Pool) -> None:
        """Take half of what is known of a pool's run times back."""
        block = slice(pool.first, pool.own_row)
        factor = self._columns.factor[block]
        if (factor != 1.0).any():
            np.sqrt(factor, out=factor)
            factor[np.abs(factor - 1.0) < SLIGHT] = 1.0
            self.sum_all_factors(pool)

    def set_load_ms(self, pool: Pool, at: int, ms: float) -> None:
        """Correct what loading a variant takes on a class."""
        cold = pool.first + pool.size + at
        pool.load_ms[at] = ms
        if cold not in pool.loaders:
            self._columns.cold_ms[cold] = ms
            self.seldom += 1

    def reshape(self, shapes: Iterable[tuple[Pool, int, Sequence[float]]]) -> None:
        """Let variants' run times scatter as shapes say (ratios to the median, by quantile)."""
        changed: list[int] = []
        for pool, at, shape in shapes:
            rows = [pool.first + at, pool.first + pool.size + at]
            self._columns.set_runs(rows, pool.infos[at].profile, shape)
            changed += rows
        if changed:
            self.reshaped.add(np.array(changed))
            self.seldom += 1

    def come(self, member: Member, pool: Pool) -> None:
        """Somebody has come: who has no corrections runs as the class does."""
        if member.factors or member.pace != 1.0:
            self.sum_all_factors(pool)
            return
        block = slice(pool.first, pool.own_row)
        least, factor = self._columns.least_factor[block], self._columns.factor[block]
        if (factor < least).any():
            np.minimum(least, factor, out=least)
            self.corrected.add(pool.rows)

    def sum_all_factors(self, pool: Pool) -> None:
        """Say that what is known of a pool's runs has changed ..."""
        self._corrected[pool] = None

    def sum_factors(self, pool: Pool, variant: str) -> None:
        """... or only of those of one variant."""
        variants = self._corrected.setdefault(pool, set())
        if variants is not None:
            variants.add(variant)

    def _settle_factors(self) -> None:
        """Take what is known of runs into the rows of those pools."""
        corrected, self._corrected = self._corrected, {}
        now, changed = self._columns.now, list[int]()
        for pool, variants in corrected.items():
            if variants is None:
                first, half, end = pool.first, pool.first + pool.size, pool.own_row
                now[LEAST, first:half] = now[FACTOR, first:half] * quickest(pool)
                now[LEAST, half:end] = now[LEAST, first:half]
                self.corrected.add(pool.rows)
                continue
            for variant in variants:
                warm, cold = pool.both(variant)
                now[LEAST, warm] = now[LEAST, cold] = now.item(FACTOR, warm) * quick(pool, variant)
                changed += warm, cold
        if changed:
            self.corrected.add(np.array(changed))


def _rescan(
    scan: np.ndarray[tuple[int], np.dtype[np.intp]], all_: list[Member], one: Member
) -> None:
    if len(all_) <= SCAN:
        scan[:] = 0
        scan[: len(all_)] = [member.slot for member in all_]
    else:
        scan[scan == one.slot] = all_[one.slot % len(all_)].slot
