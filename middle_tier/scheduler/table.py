"""The groups table: pools, members and their rows, kept current in place as news arrives.

It decides nothing and reads no message: the view says what happened, the planner reads the columns.
The cost of a change is proportional to what it changes: never to the number of nodes.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from middle_tier.scheduler.columns import SCAN, Columns
from middle_tier.scheduler.members import NO_ROWS, STATES, TIERS, Member, Pool, PoolKey
from middle_tier.scheduler.names import Names
from middle_tier.scheduler.sums import Sums
from middle_tier.scheduler.tolls import Tolls
from protocol.adverts import VariantInfo
from protocol.types import Profile

KEEP_EMPTY_MS = 60_000.0
"""How long a pool without members keeps its rows, so that a flapping node rebuilds nothing."""


class Table:
    """Rows, pools and members of one view."""

    def __init__(self) -> None:
        self.columns = Columns()
        self.sums = Sums(self.columns)
        self.pools: list[Pool | None] = []
        self.by_key: dict[PoolKey, Pool] = {}
        self.tolls = Tolls(self.by_key)
        self.crowds: dict[int, list[Member]] = {}
        """Members of each warm row."""
        self.shape: dict[str, int] = {}
        """Task -> how often its rows, or what stands in their static columns, have changed."""
        self.live = 0
        """How often a row has gained its first or lost its last member."""
        self.late: Callable[[], None] = _nothing
        """Called before the table is read: has what was learnt and not yet said put in."""
        self.names = Names()
        self._free_blocks: dict[int, list[tuple[int, int]]] = {}

    def __repr__(self) -> str:
        return f"<Table {len(self.by_key)} pools | {self.columns.used} rows | {self.sums!r}>"

    def settle(self) -> None:
        """See that the rows say what is known; to be called before they are read."""
        self.late()
        self.sums.settle()

    def pool_of(self, row: int) -> Pool:
        """Return the pool that a row belongs to."""
        pool = self.pools[self.columns.pool.item(row)]
        if pool is None:
            raise LookupError(row)
        return pool

    # -- pools -------------------------------------------------------------------------------

    def join(
        self, member: Member, key: PoolKey, infos: Sequence[VariantInfo], *, now_ms: float = 0.0
    ) -> None:
        """Put a member into the pool of `key` (out of the one where it was), nothing loaded."""
        self.leave(member, now_ms)
        pool = self.by_key.get(key) or self._new_pool(key, infos)
        self.sums.enter(member)
        member.pool, member.place = pool, len(pool.members)
        pool.members.append(member)
        pool.empty_since_ms = None
        if infos is not pool.known:
            for at, info in enumerate(infos):
                self._learn(pool, at, member, info)
            if all(info is known for info, known in zip(infos, pool.infos, strict=True)):
                pool.known = infos
        self.sums.come(member, pool)
        member.rows = pool.own_rows
        self.sums.rescan_pool(pool, member)
        live = self.live
        self._count(pool.rows[pool.size :], member.count)
        if self.live != live:
            self._list_cold(pool)
        self.sums.relink(member)
        self.sums.touch(member)

    def leave(self, member: Member, now_ms: float = 0.0) -> None:
        """Take a member out of its pool."""
        pool = member.pool
        if pool is None:
            return
        self.set_loaded(member, (), {})
        last = pool.members.pop()
        if last is not member:
            pool.members[member.place] = last
            last.place = member.place
        member.pool, member.rows = None, NO_ROWS
        for at, owner in enumerate(pool.owners):
            if owner is member:
                pool.owners[at], pool.known = None, ()
        self._count(pool.rows[pool.size :], -member.count)
        self.sums.rescan_pool(pool, member)
        self._list_cold(pool)
        if not pool.members:
            pool.empty_since_ms = now_ms

    def forget(self, member: Member) -> None:
        """Take a member out for good: its slot goes to another."""
        self.leave(member)
        self.sums.leave(member)

    def learn(self, member: Member, infos: Sequence[VariantInfo]) -> None:
        """Take news of the profiles of what a member runs (the same variants as before)."""
        if member.pool is not None:
            for at, info in enumerate(infos):
                self._learn(member.pool, at, member, info)

    def _learn(self, pool: Pool, at: int, member: Member, info: VariantInfo) -> None:
        """The class's columns hold one member's profile: its first, then the first measured one.

        What another measured goes into that member's factor, as an answer's run time would.
        """
        old, new = pool.infos[at].profile, info.profile
        if new is old or new == old:
            pool.owners[at] = pool.owners[at] or member
        elif pool.owners[at] in (None, member) or (new.measured and not old.measured):
            pool.owners[at] = member
            self._set_info(pool, at, info)
            self._begin_anew(pool, at, member, _ratio(old, new))
        elif new.measured and info.variant not in member.factors:
            usual = self.columns.factor.item(pool.first + at)
            self.sums.set_factor(member, info.variant, _ratio(new, old) / usual / member.pace)

    def _begin_anew(self, pool: Pool, at: int, owner: Member, ratio: float) -> None:
        """Drop what was learnt against a profile that was replaced; keep what others run at."""
        variant = pool.infos[at].variant
        usual = self.columns.factor.item(pool.first + at)
        for member in pool.members:
            if variant in member.factors:
                member.factors[variant] *= ratio * usual
        owner.factors.pop(variant, None)
        self.sums.set_class_factor(pool, variant, 1.0)

    def _new_pool(self, key: PoolKey, infos: Sequence[VariantInfo]) -> Pool:
        size = len(infos)
        number, first = self._block(size)
        index = {info.variant: at for at, info in enumerate(infos)}
        rows = np.arange(first, first + 2 * size)
        own_rows = np.array([first + 2 * size])
        pool = Pool(key, number, first, rows, own_rows, list(infos), index, [None] * size)
        pool.load_ms = [info.profile.load_ms for info in infos]
        self.pools[number] = pool
        self.by_key[key] = pool
        columns = self.columns
        block = slice(first, first + 2 * size + 1)
        columns.load[:, block] = np.inf
        columns.scan[block] = 0
        columns.nodes[block] = 0
        columns.factor[block] = columns.least_factor[block] = 1.0
        columns.pool[block] = number
        columns.usd_per_busy_ms[block] = key.usd_per_busy_ms
        columns.tier[block] = TIERS.index(key.tier)
        columns.state[block] = STATES.index(key.state)
        columns.site[block] = self.names.number(key.site)
        columns.across[block] = key.scope == "site"
        for at, info in enumerate(infos):
            self._set_info(pool, at, info)
        return pool

    def _block(self, size: int) -> tuple[int, int]:
        spare = self._free_blocks.get(size)
        if spare:
            return spare.pop()
        number = len(self.pools)
        self.pools.append(None)
        self.sums.make_room(number + 1)
        self.tolls.make_room(number + 1)
        first = self.columns.block(2 * size + 1)
        return number, first

    def _set_info(self, pool: Pool, at: int, info: VariantInfo) -> None:
        pool.infos[at] = info
        pool.load_ms[at] = info.profile.load_ms
        pool.typical.clear()
        pool.known = ()
        warm, cold = pool.first + at, pool.first + pool.size + at
        columns = self.columns
        for row in (warm, cold):
            columns.set_profile(row, info.profile)
            columns.accuracy[row] = info.accuracy
            columns.variant[row] = self.names.number(info.variant)
            columns.architecture[row] = self.names.number(info.architecture)
        columns.cold_ms[warm] = 0.0
        columns.cold_ms[cold] = 0.0 if cold in pool.loaders else info.profile.load_ms
        self.shape[info.task] = self.shape.get(info.task, 0) + 1

    def reap(self, now_ms: float) -> None:
        """Give back the rows of pools that have long been empty."""
        old = [
            pool
            for pool in self.by_key.values()
            if pool.empty_since_ms is not None and now_ms - pool.empty_since_ms > KEEP_EMPTY_MS
        ]
        if old:
            self.sums.settle()
        for pool in old:
            del self.by_key[pool.key]
            self.pools[pool.number] = None
            self._free_blocks.setdefault(pool.size, []).append((pool.number, pool.first))
            for info in pool.infos:
                self.shape[info.task] += 1
        if old:
            self.names.sweep(name for pool in self.by_key.values() for name in pool.names())

    # -- what is loaded ----------------------------------------------------------------------

    def set_loaded(self, member: Member, warm: Iterable[str], loading: dict[str, float]) -> None:
        """Say what a member has in memory, and when what it is loading will be there."""
        pool = member.pool
        if pool is None:
            return
        rows = {pool.first + at for name in warm if (at := pool.index.get(name)) is not None}
        if rows != member.warm.keys():
            live = self.live
            for row in member.warm.keys() - rows:
                self._cool(member, row, pool)
            self._warm(member, rows - member.warm.keys(), pool)
            member.rows = np.fromiter((*member.warm, pool.own_row), np.intp)
            if self.live != live:
                self._list_cold(pool)
            self.sums.touch(member)
        if loading or member.loading:
            self._set_loading(member, loading, pool)

    def _warm(self, member: Member, rows: set[int], pool: Pool) -> None:
        for row in rows:
            crowd = self.crowds.setdefault(row, [])
            member.warm[row] = len(crowd)
            crowd.append(member)
            if len(crowd) <= SCAN:  # of more a sample is kept, which settling renews
                self.sums.rescan(row, crowd, member)
        if rows:
            warm = np.fromiter(rows, np.intp, len(rows))
            self._count(warm, member.count)
            self._count(warm + pool.size, -member.count)

    def _cool(self, member: Member, row: int, pool: Pool) -> None:
        crowd = self.crowds[row]
        place = member.warm.pop(row)
        last = crowd.pop()
        if last is not member:
            crowd[place] = last
            last.warm[row] = place
        self._count(np.array([row]), -member.count)
        self._count(np.array([row + pool.size]), member.count)
        self.sums.rescan(row, crowd, member)
        self.sums.sum_load(row)

    def _set_loading(self, member: Member, loading: dict[str, float], pool: Pool) -> None:
        for name in member.loading.keys() | loading.keys():
            at = pool.index.get(name)
            if at is None:
                continue
            cold = pool.first + pool.size + at
            loaders = [other for other in pool.loaders.pop(cold, ()) if other is not member]
            if name in loading:
                loaders.append(member)
            if loaders:
                pool.loaders[cold] = loaders
            self.columns.cold_ms[cold] = 0.0 if loaders else pool.load_ms[at]
            self.sums.seldom += 1
        member.loading = loading

    def _count(self, rows: np.ndarray[tuple[int, ...], np.dtype[np.intp]], change: int) -> None:
        nodes = self.columns.nodes
        before = nodes.take(rows)
        after = before + change
        nodes[rows] = after
        if np.count_nonzero(before) < len(rows) or np.count_nonzero(after) < len(rows):
            self.live += 1

    def _list_cold(self, pool: Pool) -> None:
        first = pool.first + pool.size
        held = self.columns.nodes[first : first + pool.size] > 0
        self.columns.load[:, first : first + pool.size][:, ~held] = np.inf
        pool.cold, pool.told = np.flatnonzero(held) + first, None
        self.sums.queued.add(pool.rows)


def _nothing() -> None: ...


def _ratio(profile: Profile, base: Profile) -> float:
    """Return how much longer one profile's runs take than another's, within reason."""
    size = min(profile.runs)
    ms, base_ms = profile.runs[size].ms[0], base.run(size).ms[0]
    return max(0.5, min(20.0, ms / base_ms)) if base_ms > 0 else 1.0
