"""Pure. What answers teach about run times: observed over predicted, as a slowly moving factor."""

LEAST, MOST = 0.5, 20.0
"""No node is believed to be faster or slower than this against its class's profile."""

OWN_SHARE = 0.2
"""Weight of a new answer in its node's factor: ten answers teach nine tenths of a change."""

CLASS_SHARE = 0.05
"""Weight in the factor of the class, which stands for nodes that have not answered yet."""

SHORTEST_MS = 0.01
"""Runs shorter than this are rounded up to it: what is left of them is the timer."""


def clamped(factor: float) -> float:
    return min(MOST, max(LEAST, factor))


def corrected(factor: float, observed_ms: float, typical_ms: float, share: float) -> float:
    """Return the factor after a run of `observed_ms` where the profile's median is `typical_ms`.

    Averaged as logarithms: twice as slow and twice as fast are equally far from 1, so that a
    node which is as its profile says stays near 1 however long the distribution's tail.
    """
    ratio = clamped(max(observed_ms, SHORTEST_MS) / max(typical_ms, SHORTEST_MS))
    return clamped(factor ** (1.0 - share) * ratio**share)
