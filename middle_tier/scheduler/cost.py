"""Pure. What would it cost, and in which order are candidates better?

cost = price of a busy millisecond (energy and rent) x the median run of these rows on this class
of hardware, as observed, + the bytes x the price of each tier border between router and node.

The median, as a bill is a sum over many queries and not a promise about one; the class's own
correction and not the node's, so that every member of a group costs the same and a plan's order
does not depend on which of them is picked. Loading is not charged: the node is paid for the run.
"""

from collections.abc import Iterator
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


def usd_per_byte(policy: Policy, here: Tier) -> Floats:
    """Return the price of one byte from a router in tier `here` to each tier."""
    at = TIERS.index(here)
    prices = np.zeros(len(TIERS))
    for there in range(len(TIERS)):
        passed = BORDERS[min(at, there) : max(at, there)]
        prices[there] = sum(policy.usd_per_gb.get(border, 0.0) for border in passed) / 1e9
    return prices


def best_first(cost_usd: Floats, places: Rows, finish_ms: Floats) -> Iterator[list[int]]:
    """Yield indices, the cheapest first, in lists: in each all that cost the same, by finish.

    The finish of each is that at its place. No more is sorted than is asked for, as the first list
    or two are all that most decisions need.
    """
    left = cost_usd
    for step in range(min(LEVELS, len(left))):
        least = left.item(left.argmin())
        if least == inf:
            return
        level = (left == least).nonzero()[0]
        if len(level) > 1:
            yield level.take(finish_ms.take(places.take(level)).argsort(kind="stable")).tolist()
        else:
            yield level.tolist()
        if not step:
            left = cost_usd.copy()
        left[level] = inf
    order = np.lexsort((finish_ms.take(places), left))[: np.count_nonzero(left < inf)]
    edges = np.flatnonzero(np.diff(left.take(order))) + 1
    yield from (level.tolist() for level in np.split(order, edges))
