"""Pure. What would it cost, and in which order are candidates better?

cost = price of a busy millisecond (energy and rent) x the median run of these rows on this class
of hardware, as observed, + the bytes x the price of each tier border between router and node.

The median, as a bill is a sum over many queries and not a promise about one; the class's own
correction and not the node's, so that every member of a group costs the same and a plan's order
does not depend on which of them is picked. Loading is not charged: the node is paid for the run.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.members import TIERS
from middle_tier.scheduler.types import Hop, Policy
from protocol.types import Tier

Floats = npt.NDArray[np.float64]

BORDERS: tuple[Hop, ...] = ("edge-middle", "middle-cloud")
"""Border n lies between tier n and tier n + 1."""

SORT_AT_ONCE = 64
"""Up to this many are sorted; of more, the best are taken out one by one, as few are needed ..."""

ONE_BY_ONE = 16
"""... and sorted after all when more than this many are."""


def usd_per_byte(policy: Policy, here: Tier) -> Floats:
    """Return the price of one byte from a router in tier `here` to each tier."""
    at = TIERS.index(here)
    prices = np.zeros(len(TIERS))
    for there in range(len(TIERS)):
        passed = BORDERS[min(at, there) : max(at, there)]
        prices[there] = sum(policy.usd_per_gb.get(border, 0.0) for border in passed) / 1e9
    return prices


def best_first(cost_usd: Floats, finish_ms: Floats) -> Iterator[int]:
    """Yield indices, best first: the cheapest, and of those that cost the same the earlier one."""
    taken: set[int] = set()
    if len(cost_usd) > SORT_AT_ONCE:
        left = cost_usd.copy()
        for _ in range(ONE_BY_ONE):
            level = (left == left[left.argmin()]).nonzero()[0]
            at = int(level[finish_ms.take(level).argmin()])
            yield at
            taken.add(at)
            left[at] = np.inf
    for at in np.lexsort((finish_ms, cost_usd)).tolist():
        if at not in taken:
            yield at
