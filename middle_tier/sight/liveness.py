"""Pure. Alive, suspect or gone, by silence alone."""

from typing import Literal

Health = Literal["alive", "suspect", "gone"]

SUSPECT_AFTER = 3
"""Missed periods before a node is not chosen any more: 6 s with the usual 2 s."""

GONE_AFTER = 10
"""Missed periods before it counts as gone."""

FORGET_AFTER = 300
"""Missed periods before it is not even listed."""


def health(silent_s: float, period_s: float) -> Health:
    """Return what a silence of this length means for something that speaks every `period_s`."""
    if silent_s > GONE_AFTER * period_s:
        return "gone"
    return "suspect" if silent_s > SUSPECT_AFTER * period_s else "alive"


def next_look_s(silent_s: float, period_s: float) -> float:
    """Return how long until silence could mean something else."""
    for missed in (SUSPECT_AFTER, GONE_AFTER, FORGET_AFTER):
        if silent_s <= missed * period_s:
            return missed * period_s - silent_s
    return period_s
