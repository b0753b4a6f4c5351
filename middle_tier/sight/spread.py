"""Pure. How run times scatter: observed over expected, by percentile.

A sketch as DDSketch is one (buckets that grow by a constant share, so that every quantile is within
one percent), which also ages: what a machine did long ago counts for less and less.
"""

from math import exp

import numpy as np

from protocol.types import QUANTILES, Latency

GROWTH = 0.02
"""Width of a bucket, as a logarithm: half of it is the error of a quantile."""

KEPT = 2048
"""Weight at which everything is halved. Higher knows rarer quantiles and forgets later."""

CREDIBLE = 32
"""Answers before the profile's own scatter is replaced."""

NOTICED = 0.1
"""Changes below this share are not told: each has every kind of want take it over."""

AT_ONCE = 256
"""Ratios that may wait to be sorted into buckets: many at once cost little more than one."""

BOUND = 5.0
"""Logarithm of the furthest from what was expected that is told apart."""

Shape = tuple[float, ...]
"""At each of `QUANTILES`, observed over expected."""


class Spread:
    """The mutable state is the buckets, what is not in them yet, and what of them was told last."""

    __slots__ = ("_due", "_fresh", "_told", "_weights", "seen", "total")

    def __init__(self) -> None:
        self._weights: dict[int, float] = {}
        self._fresh: list[float] = []
        self.total = 0.0
        self.seen = 0
        self._due = CREDIBLE
        self._told: Shape = ()

    def __repr__(self) -> str:
        return f"<Spread of {self.seen} | weight {self.total:.0f}>"

    def add(self, ratio: float) -> None:
        """Take what one run took, over what was expected of it at the median."""
        self._fresh.append(ratio)
        if len(self._fresh) >= AT_ONCE:
            self._sort_in()

    def _sort_in(self) -> None:
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        logs = np.log(np.maximum(fresh, exp(-BOUND)))
        found = np.rint(np.minimum(logs, BOUND) / GROWTH).astype(np.intp)
        buckets, counts = np.unique(found, return_counts=True)
        for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
            self._weights[bucket] = self._weights.get(bucket, 0.0) + count
        self.total += len(fresh)
        self.seen += len(fresh)
        if self.total >= KEPT:
            self._weights = {key: 0.5 * weight for key, weight in self._weights.items()}
            self.total *= 0.5

    def at(self, percentile: float) -> float:
        """Return the ratio that this percentage of runs stays within."""
        self._sort_in()
        left = self.total * percentile / 100.0
        bucket = 0
        for bucket in sorted(self._weights):  # the last one, where rounding ends it
            left -= self._weights[bucket]
            if left <= 0:
                break
        return exp(bucket * GROWTH)

    def shape(self, profile: Latency) -> Shape | None:
        """Return the ratios to predict with; None while too little is known.

        A percentile beyond what so few answers can show is as far out as the profile has it, and no
        nearer than the last that they do show.
        """
        self._sort_in()
        if self.total < CREDIBLE:
            return None
        found: list[float] = []
        for percentile, ms in zip(QUANTILES, profile.ms, strict=True):
            ratio = self.at(percentile)
            if self.total * (1.0 - percentile / 100.0) < 1.0 and profile.ms[0] > 0:
                ratio = max(ratio, ms / profile.ms[0])
            found.append(max(ratio, found[-1] if found else 0.0))
        return tuple(found)

    def news(self, profile: Latency) -> Shape | None:
        """Return the shape where it is time to look, and it is another than was told last."""
        if self.seen + len(self._fresh) < self._due:
            return None
        self._sort_in()
        self._due = self.seen + min(self.seen, KEPT // 2)
        shape = self.shape(profile)
        if shape is None or not _differ(shape, self._told):
            return None
        self._told = shape
        return shape


def _differ(one: Shape, other: Shape) -> bool:
    if not other:
        return True
    return any(abs(a - b) > NOTICED * b for a, b in zip(one, other, strict=True))
