"""Pure. What answers teach about run times: observed over predicted, as a slowly moving factor."""

LEAST, MOST = 0.5, 20.0
"""No node is believed to be faster or slower than this against its class's profile."""

OWN_SHARE = 0.2
"""Weight of a new answer in its node's factor: ten answers teach nine tenths of a change."""

CLASS_SHARE = 0.05
"""Weight in the factor of the class, which stands for nodes that have not answered yet."""

SHORTEST_MS = 0.1
"""Runs shorter than this are rounded up to it, and so all alike: what tells them apart is whether
the processor's caches were warm, and one stall of the machine would make a variant of 10
microseconds look dearer than one of 40 for half a minute."""


def clamped(factor: float) -> float:
    return min(MOST, max(LEAST, factor))


def corrected(factor: float, observed_ms: float, typical_ms: float, share: float) -> float:
    """Return the factor after a run of `observed_ms` where the profile's median is `typical_ms`.

    Averaged as logarithms: twice as slow and twice as fast are equally far from 1, so that a
    node which is as its profile says stays near 1 however long the distribution's tail.
    """
    ratio = clamped(max(observed_ms, SHORTEST_MS) / max(typical_ms, SHORTEST_MS))
    return clamped(factor ** (1.0 - share) * ratio**share)


SURPRISE = 1.3
"""A run this many times slower, or faster, than expected is a surprise."""

OWN_STREAK = 4
"""So many surprises one after the other, all to the same side, and the node has changed ..."""

CLASS_STREAK, CLASS_WITNESSES = 6, 3
"""... so many, on so many nodes (or all there are), and its class has."""


class Streak:
    """Surprises one after the other: a change is seen at once, where an average takes its time.

    The mutable state is how many there were, of whom, and the least of them.
    """

    __slots__ = ("_least", "_of", "count")

    def __init__(self) -> None:
        self.count = 0
        self._least = 1.0
        self._of: set[object] = set()

    def __repr__(self) -> str:
        return f"<Streak of {self.count} | {self._least:.2f}>"

    def add(self, ratio: float, of: object, *, length: int, witnesses: int = 1) -> float | None:
        """Take observed over expected; return by what to correct at once, or None.

        That is the least of the surprises: averages have learnt a part of the change meanwhile.
        """
        side = (ratio > SURPRISE) - (ratio * SURPRISE < 1.0)
        if not side or (self.count and (self._least > 1.0) is not (side > 0)):
            self.count, self._least = 0, 1.0
            self._of.clear()
        if not side:
            return None
        nearer = ratio if not self.count else (min if side > 0 else max)(self._least, ratio)
        self.count, self._least = self.count + 1, nearer
        self._of.add(of)
        if self.count < length or len(self._of) < witnesses:
            return None
        self.count, self._least = 0, 1.0
        self._of.clear()
        return nearer


def faded(factor: float) -> float:
    """Return what is left of a correction that nobody has confirmed for a while."""
    half: float = factor**0.5
    return 1.0 if 1.0 / 1.05 < half < 1.05 else half  # noqa: PLR2004  # five percent is noise
