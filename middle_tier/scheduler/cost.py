"""Pure. What would it cost, and in which order are candidates better?

cost = price of a busy millisecond (energy and rent) x the median run of these rows on this class
of hardware, as observed, + the bytes x the price of each tier border between router and node.

The median, as a bill is a sum over many queries and not a promise about one; the class's own
correction and not the node's, so that every member of a group costs the same and a plan's order
does not depend on which of them is picked. Loading is not charged: the node is paid for the run.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from math import inf

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.members import TIERS
from middle_tier.scheduler.types import Hop, Policy
from protocol.types import Tier

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

BORDERS: tuple[Hop, ...] = ("edge-middle", "middle-cloud")
"""Border n lies between tier n and tier n + 1."""

LEVELS = 8
"""So many of the lowest costs are looked for one by one; all are sorted when more are needed."""

FEW = 4
"""So many that cost the same are looked for one by one as well."""


def usd_per_byte(policy: Policy, here: Tier) -> Floats:
    """Return the price of one byte from a router in tier `here` to each tier."""
    at = TIERS.index(here)
    prices = np.zeros(len(TIERS))
    for there in range(len(TIERS)):
        passed = BORDERS[min(at, there) : max(at, there)]
        prices[there] = sum(policy.usd_per_gb.get(border, 0.0) for border in passed) / 1e9
    return prices


def best_first(
    cost_usd: Floats, places: Rows, order: Callable[[int], tuple[float, int]]
) -> Iterator[tuple[float, list[int]]]:
    """Yield costs, the lowest first, each with the places of all that cost so much, in an order.

    The costs are those of the places, and used up: infinite is what was yielded. No more is sorted
    than is asked for, as one or two levels are all that most decisions need.
    """
    if not len(cost_usd):
        return
    at = cost_usd.argmin()
    for _ in range(LEVELS):
        least: float = cost_usd.item(at)
        if least == inf:
            return
        level: list[int] = []
        while cost_usd.item(at) == least and len(level) < FEW:
            level.append(places.item(at))
            cost_usd[at] = inf
            at = cost_usd.argmin()
        if len(level) == FEW:
            rest = (cost_usd == least).nonzero()[0]
            cost_usd[rest] = inf
            level += places.take(rest).tolist()
            at = cost_usd.argmin()
        if len(level) > 1:
            level.sort(key=order)
        yield least, level
    left = (cost_usd < inf).nonzero()[0]
    for cost, alike in groupby(left[cost_usd[left].argsort()].tolist(), key=cost_usd.item):
        yield cost, sorted(map(places.item, alike), key=order)
