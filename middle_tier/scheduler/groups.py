"""A task's groups as the planner reads them, with what can be kept from one decision to the next.

What a kind of want leaves of the groups (a lens) is kept until the table's shape changes. Queues,
links, corrections and membership are as they are now for every decision: the task has them side by
side, and is told which of them have changed. What a lens leaves out is infinitely far away for it.
"""

from collections.abc import Container

from middle_tier.scheduler.changes import Copy, Lines, Places
from middle_tier.scheduler.grounds import Lens, ground_through, laid, rows_of
from middle_tier.scheduler.kinds import Kind, Kinds
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Demand, Policy
from protocol.types import Tier

LENSES = 128
"""Kinds of want remembered by a task; the oldest is dropped first."""


class Groups:
    """The read side of the table for one task."""

    def __init__(self, task: str, table: Table, here: Tier) -> None:
        self.task = task
        self.table = table
        self.here = here
        self._lenses: dict[tuple[object, ...], Lens] = {}
        self._reset(Policy())
        self._shape = -1

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
            lens = self._lenses[kind] = ground_through(self._ground, demand, policy)
        if lens.live != self.table.live:
            lens.count_live(self.table)
        return lens

    def load(self) -> Lines:
        """Return both lines of `Columns.load`, by place; and one entry that means nothing."""
        return self._copy.lines

    def kind(self, batch: int, percentile: float, nbytes: int) -> Kind:
        """Return what so many rows and bytes take and cost, queues aside, at this percentile."""
        return self._kinds.get(batch, percentile, nbytes)

    def least_load_ms(self) -> float:
        """Return what no cold group loads in less than: after `kind`."""
        return self._kinds.least_load_ms

    def renew(self) -> None:
        """Take in what has been heard. A decision does; whoever does before spares it the time."""
        table, sums = self.table, self.table.sums
        table.settle()
        if self._copy.seen != sums.queued.count:
            self._copy.renew(table.columns.load)
        if self._kinds.corrected != sums.corrected.count:
            self._kinds.correct()

    def freshen(self) -> None:
        """Take what has changed into all that is kept and in use: no decision has to then."""
        if self.table.shape.get(self.task) == self._shape:
            self.renew()
            self._kinds.freshen()

    def _reset(self, policy: Policy) -> None:
        """Begin anew: the task's rows are those of the pools that run a variant of it."""
        self._shape = self.table.shape.get(self.task, -1)
        self._policy = policy
        self._lenses.clear()
        self._ground = laid(rows_of(self.task, self.table), self.table, policy, self.here)
        places = Places(self._ground.rows)
        self._copy = Copy(places, self.table.sums.queued)
        self._kinds = Kinds(self.table, self._ground, places)


def drop(groups: dict[str, Groups], table: Table, spoken: Container[str]) -> None:
    """Drop the groups of tasks of which nobody speaks and that no pool runs any more."""
    silent = [task for task in groups if task not in spoken]
    if silent:
        run = {info.task for pool in table.by_key.values() for info in pool.infos}
        for task in silent:
            if task not in run:
                del groups[task], table.shape[task]
