"""Pure. How often something may happen: so many at once, then so many a second."""


class Rate:
    """A token bucket, full at first. The mutable state is its level."""

    __slots__ = ("_at", "_burst", "_level", "_per_s")

    def __init__(self, burst: int, per_s: float, now: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._level = float(burst)
        self._at = now

    def __repr__(self) -> str:
        return f"<Rate {self._level:.1f} of {self._burst}>"

    def take(self, now: float) -> bool:
        """Whether it may happen now; if so, it has."""
        self._fill(now)
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True

    def full(self, now: float) -> bool:
        """Whether there is nothing to remember of it."""
        self._fill(now)
        return self._level >= self._burst

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._per_s)
        self._at = now
