"""Pure. How a pool's quickest member runs, over what its class takes: for the rows' bounds."""

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.columns import SCAN
from middle_tier.scheduler.members import Pool

Floats = npt.NDArray[np.float64]


def quick(pool: Pool, variant: str) -> float:
    """Return the smallest of the members' own factors for a variant; 1 where they are many."""
    members = pool.members
    if not 0 < len(members) <= SCAN:
        return 1.0
    return min([each.pace * each.factors.get(variant, 1.0) for each in members])


def quickest(pool: Pool) -> Floats:
    """Return the same for each variant."""
    members, index = pool.members, pool.index
    if not 0 < len(members) <= SCAN:
        return np.ones(len(index))
    least: Floats = np.full(len(index), np.inf)
    for member in members:
        own = np.full(len(index), member.pace)
        for variant, factor in member.factors.items():
            if variant in index:
                own[index[variant]] = member.pace * factor
        np.minimum(least, own, out=least)
    return least
