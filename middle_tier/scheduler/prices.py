"""Pure. What a policy makes of nodes' prices: the bill, and what is preferred beside it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.members import PoolKey
from middle_tier.scheduler.rules import price_of
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Policy

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class Prices(NamedTuple):
    """Columns of a lens, one line for each of its rows."""

    busy: Floats
    """USD of a busy millisecond."""
    beside: Floats
    """USD that its energy is worth beyond that."""
    accuracy: Floats
    """USD that the accuracy of an answer is worth."""
    preferring: bool
    """Whether either of the last two is anything but nothing."""


def usd_per_busy_ms(policy: Policy, key: PoolKey) -> float:
    """Return what a busy millisecond of these nodes is billed at."""
    price = price_of(policy.prices, key.tier, key.hardware)
    return key.usd_per_busy_ms if price is None else price.usd_per_busy_ms


def energy_share(policy: Policy, key: PoolKey) -> float | None:
    """Return what share of that bill is energy, the rest being rent; None where it is not known."""
    price = price_of(policy.prices, key.tier, key.hardware)
    energy = (
        key.energy_usd_per_busy_ms if price is None else price.watts * price.usd_per_kwh / 3.6e9
    )
    whole = usd_per_busy_ms(policy, key)
    return None if energy is None else energy / whole if whole else 0.0


def prices(table: Table, rows: Rows, policy: Policy) -> Prices:
    """Return the columns of these rows."""
    columns, prefer = table.columns, policy.prefer
    busy = columns.usd_per_busy_ms[rows]
    beside = np.zeros(len(rows))
    if policy.prices:
        pools = columns.pool[rows]
        for number in np.unique(pools).tolist():
            pool = table.pools[number]
            price = pool and price_of(policy.prices, pool.key.tier, pool.key.hardware)
            if price:
                at = pools == number
                busy[at] = price.usd_per_busy_ms
                beside[at] = price.watts / 3.6e9 * prefer.usd_per_kwh
    accuracy = columns.accuracy[rows] * 100.0 * prefer.usd_per_accuracy_point
    return Prices(busy, beside, accuracy, bool(beside.any() or accuracy.any()))
