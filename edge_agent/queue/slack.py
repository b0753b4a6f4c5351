"""Pure. May an ask go before queued work that is due later, without making any of that late?

The last question of admission: asked only when an ask that stood behind all queued work would be
late. It walks the queue in the order in which it runs, earliest due first.
"""

from collections.abc import Iterable
from typing import NamedTuple

LOOKED_AT = 256
"""Of a longer queue nothing is looked at: an ask that does not fit behind it does not fit."""


class Due(NamedTuple):
    """Queued work."""

    due: float
    """In seconds, as `now`."""
    cost_s: float
    """What it is counted at."""


def passes(queued: Iterable[Due], *, free_at: float, due: float, run_s: float) -> bool:
    """Whether work of `run_s` makes its `due` in its turn, and takes nobody's.

    `free_at` is when the node is done with what it runs. What would be late as it is loses nothing.
    """
    at, taken_s = free_at, 0.0
    for each in sorted(queued):
        if not taken_s and each.due > due:
            if at + run_s > due:
                return False
            taken_s = run_s
        at += each.cost_s
        if taken_s and at <= each.due < at + taken_s:
            return False
    return bool(taken_s) or at + run_s <= due
