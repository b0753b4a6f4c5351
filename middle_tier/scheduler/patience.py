"""Pure. How long a router waits for a silent node before it asks the next one."""

from middle_tier.scheduler.types import Candidate

STRETCH = 2.0
"""A node may take this many times what was predicted of it ..."""

GRACE_MS = 20.0
"""... and this much more, before silence means anything."""


def patience_ms(candidate: Candidate, next_finish_ms: float | None, budget_left_ms: float) -> float:
    """Return how long to wait for `candidate`, from the moment it was asked.

    The shorter of: twice its predicted finish and a grace; the last moment at which the next
    candidate, asked then, still makes the objective. But never less than the prediction itself
    (the next would be asked before this one could have answered), and where there is no next one,
    as long as there is budget or the first rule says.
    """
    stretched = STRETCH * candidate.finish_ms + GRACE_MS
    if next_finish_ms is None:
        return max(stretched, budget_left_ms)
    last_moment = budget_left_ms - next_finish_ms
    return max(candidate.finish_ms, min(stretched, last_moment))
