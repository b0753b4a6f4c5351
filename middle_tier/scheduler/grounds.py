"""A task's groups in the order in which decisions read them, and what one kind of want leaves.

Cold groups first, the most accurate last; then warm ones, the most accurate first. So those that
are accurate enough lie side by side around the middle, and where nobody could load in time they
begin at the middle: half as many.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.cost import usd_per_byte
from middle_tier.scheduler.filters import STANDING, Facts, Mask
from middle_tier.scheduler.pick import Group
from middle_tier.scheduler.prices import Prices, prices
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Demand, Policy
from protocol.types import Tier

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class Ground(NamedTuple):
    """A task's groups, and what stands while the table's shape does: lines by place."""

    rows: Rows
    """Place -> row of the table."""
    middle: int
    """Places below it are cold groups, the others the same ones warm."""
    turn: Rows
    """Of each place, where it comes when all are listed, the most accurate first."""
    facts: Facts
    pool: Rows
    prices: Prices
    inaccuracy: list[float]
    """Every accuracy that there is, with its sign turned: rises ..."""
    upto: list[int]
    """... and how many places, on each side of the middle, come before each; and all."""
    usd_per_byte: Floats | None
    """None: bytes are free everywhere."""
    opened: dict[int, Group]
    """Groups by their place: those that were picked from."""

    def accurate(self, least: float) -> int:
        """Return how many are accurate enough: so many on each side of the middle."""
        return self.upto[bisect_right(self.inaccuracy, -least)]

    def carried_usd(self, nbytes: int) -> Floats | None:
        """Return what so many bytes cost; None where they are free."""
        return None if self.usd_per_byte is None else nbytes * self.usd_per_byte

    def in_turn(self, places: Rows) -> Rows:
        """Return the rows at some places, the most accurate first."""
        return self.rows[places[self.turn[places].argsort()]]


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
    """How many of the n most accurate on both sides are left and have a node, by n."""
    live_out: dict[str, int] = field(default_factory=dict)

    def count_live(self, table: Table) -> None:
        """Count the groups that have a node."""
        nodes, ground = table.columns.nodes, self.ground
        self.live = table.live
        held = (nodes[ground.rows] > 0) & self.inside
        warm, cold = held[ground.middle :], held[: ground.middle][::-1]
        self.live_sum = np.zeros(ground.middle + 1, np.intp)
        np.cumsum(warm.astype(np.intp) + cold, out=self.live_sum[1:])
        counted = ((reason, int((nodes[rows] > 0).sum())) for reason, rows in self.out)
        self.live_out = {reason: count for reason, count in counted if count}


def rows_of(task: str, table: Table) -> Rows:
    """Return the warm rows of a task, each pool's one after the other; and the cold ones."""
    return np.array(
        [
            [pool.first + half + at for half in (0, pool.size)]
            for pool in table.by_key.values()
            for at, info in enumerate(pool.infos)
            if info.task == task
        ],
        np.intp,
    ).reshape(-1, 2)


def laid(pairs: Rows, table: Table, policy: Policy, here: Tier) -> Ground:
    """Return the ground of some pairs of a warm row and a cold one."""
    columns = table.columns
    best = np.argsort(-columns.accuracy[pairs[:, 0]], kind="stable")
    warm, cold = pairs[best].T
    rows, middle = np.concatenate((cold[::-1], warm)), len(pairs)
    inaccuracy, upto = np.unique(-columns.accuracy[warm], return_index=True)
    each, price = np.arange(middle), usd_per_byte(policy, here)
    facts = Facts(
        code=table.names.known,
        variant=columns.variant[rows],
        architecture=columns.architecture[rows],
        tier=columns.tier[rows],
        site=columns.site[rows],
        state=columns.state[rows],
        across=columns.across[rows],
        accuracy=columns.accuracy[rows],
        sites=lambda: {key.site for key in table.by_key},
    )
    return Ground(
        rows,
        middle,
        np.concatenate((2 * each[::-1] + 1, 2 * each)),
        facts,
        columns.pool[rows],
        prices(table, rows, policy),
        inaccuracy.tolist(),
        [*upto.tolist(), middle],
        price[facts.tier] if price.any() else None,
        {},
    )


def ground_through(ground: Ground, demand: Demand, policy: Policy) -> Lens:
    """Return what the standing filters leave."""
    left = np.ones(len(ground.rows), np.bool_)
    out: list[tuple[str, Rows]] = []
    for standing in STANDING:
        mask = standing.out(demand, policy, ground.facts)
        if mask is not None and (mask & left).any():
            places = (mask & left).nonzero()[0]
            out.append((standing.reason, ground.in_turn(places)))
            left &= ~mask
    barrier = None if left.all() else np.where(left, 0.0, np.inf)
    return Lens(ground, left, barrier, tuple(out))
