"""What rows and pools sum up of their members: least queue, best link, smallest correction.

A sum is a bound: no (scanned) member is better than it says. Who is in which row is in table.
"""

import numpy as np

from edge_agent.admission import transfer_ms
from middle_tier.scheduler.columns import SCAN, Columns, Floats, grown
from middle_tier.scheduler.members import Member, Pool
from protocol.types import QUANTILES

WAY = len(QUANTILES) + 1

DIRTY_LIMIT = 8
"""Changes of load that may wait for the next decision."""


class Sums:
    """Members by slot, and what changes about them while they stay where they are."""

    def __init__(self, columns: Columns) -> None:
        self.members: list[Member | None] = [None]
        self.links = 0
        """How often a pool's link has changed."""
        self.pool_scan = np.zeros((0, SCAN), np.intp)
        """Slots of (up to `SCAN` of) the members of a pool; 0 is nobody."""
        self.pool_way: Floats = np.zeros((0, WAY))
        """Of those the best link at each of `QUANTILES`, and the fewest ms per byte."""
        self._columns = columns
        self._load: Floats = np.full((1, 2), np.inf)
        """`free_at_ms` and `own_ms` by slot; slot 0 is nobody."""
        self._way: Floats = np.full((1, WAY), np.inf)
        self._free_slots: list[int] = []
        self._dirty: set[Member] = set()

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
        size = len(self._load)
        if member.slot >= size:
            self._load = grown(self._load, 2 * size + 16)
            self._way = grown(self._way, 2 * size + 16)
            self._load[size:] = self._way[size:] = np.inf

    def leave(self, member: Member) -> None:
        """Take a member's slot away."""
        if member.slot:
            self._dirty.discard(member)
            self._load[member.slot] = self._way[member.slot] = np.inf
            self.members[member.slot] = None
            self._free_slots.append(member.slot)
            member.slot = 0

    def make_room(self, pools: int) -> None:
        """See that there are rows for this many pools."""
        if pools > len(self.pool_scan):
            self.pool_scan = grown(self.pool_scan, 2 * pools + 16)
            self.pool_way = grown(self.pool_way, 2 * pools + 16)

    # -- who is looked at ----------------------------------------------------------------------

    def rescan(self, row: int, crowd: list[Member], changed: Member) -> None:
        """Note who is in the crowd of a warm row, after one came or went."""
        _rescan(self._columns.scan[row], crowd, changed)
        self._columns.load[row] = self._load[self._columns.scan[row]].min(axis=0)

    def rescan_pool(self, pool: Pool, changed: Member) -> None:
        """Note who is in a pool, after one came or went."""
        _rescan(self.pool_scan[pool.number], pool.members, changed)

    # -- what changes --------------------------------------------------------------------------

    def touch(self, member: Member) -> None:
        """Say that a member's queue has changed."""
        if member.slot:
            self._dirty.add(member)
        if len(self._dirty) >= DIRTY_LIMIT:
            self.settle()

    def settle(self) -> None:
        """Bring the rows of members that have changed up to date."""
        for member in self._dirty:
            self._settle(member)
        self._dirty.clear()

    def _settle(self, member: Member) -> None:
        load, columns, pool = self._load, self._columns, member.pool
        load[member.slot] = (member.free_at_ms, member.own_ms)
        if pool is None:
            return
        rows = member.rows
        if len(pool.members) > SCAN:
            place = member.slot % SCAN
            self.pool_scan[pool.number, place] = member.slot
            columns.scan[rows[columns.nodes[rows] > SCAN], place] = member.slot
        if len(rows):
            columns.load[rows] = load[columns.scan[rows]].min(axis=1)
        if len(pool.cold):
            columns.load[pool.cold] = load[self.pool_scan[pool.number]].min(axis=0)

    def relink(self, member: Member) -> None:
        """Take a member's changed link into its pool's."""
        member.link_at.clear()
        pool = member.pool
        if pool is not None:
            self._way[member.slot] = (*member.link.ms, transfer_ms(1, member.mbps))
            self.pool_way[pool.number] = self._way[self.pool_scan[pool.number]].min(axis=0)
            self.links += 1

    def set_factor(self, member: Member, variant: str, factor: float) -> None:
        """Correct one member's run times of one variant."""
        member.factors[variant] = factor
        pool = member.pool
        if pool is not None and variant in pool.index:
            self._sum_factors(pool, variant)

    def set_class_factor(self, pool: Pool, variant: str, factor: float) -> None:
        """Correct a variant's run times for those of a pool that have no factor of their own."""
        self._columns.factor[pool.both(variant)] = factor
        self._sum_factors(pool, variant)

    def _sum_factors(self, pool: Pool, variant: str) -> None:
        rows = pool.both(variant)
        least = self._columns.factor.item(rows[0])
        if len(pool.members) <= SCAN:
            least = min(other.factors.get(variant, least) for other in pool.members)
        self._columns.least_factor[rows] = least


def _rescan(
    scan: np.ndarray[tuple[int], np.dtype[np.intp]], all_: list[Member], one: Member
) -> None:
    if len(all_) <= SCAN:
        scan[:] = 0
        scan[: len(all_)] = [member.slot for member in all_]
    else:
        scan[scan == one.slot] = all_[one.slot % len(all_)].slot
