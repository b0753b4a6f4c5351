"""Pure. How long a variant runs here, as plain floats: the profile, remembered and corrected."""

from edge_agent.admission import run_ms, work_ms
from protocol.types import Profile

LEAST, MOST = 0.5, 20.0
"""A correction beyond these says that something is broken, not that it is slow."""

STEP = 1.05
FORGET_S = 1.0
_REMEMBERED = 4096


class Forecast:
    """The run times of one variant.

    `factor` follows the median of observed to profiled time by small steps, which a single stall
    does not move; without news it goes back to 1, or a slow spell would be refused for ever.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.factor = 1.0
        self._seen = 0.0
        self._known: dict[tuple[int, float], float] = {}
        self._work: dict[tuple[int, float], float] = {}

    def __repr__(self) -> str:
        return f"<Forecast of {len(self.profile.runs)} batch sizes | x{self.factor:.2f}>"

    def run_ms(self, rows: int, percentile: float) -> float:
        """Predicted time of `rows` run together."""
        key = (rows, percentile)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = run_ms(self.profile, rows, percentile)
        return known * self.factor

    def run_s(self, rows: int, percentile: float) -> float:
        """The same in seconds."""
        return self.run_ms(rows, percentile) / 1e3

    def work_ms(self, rows: int, percentile: float) -> float:
        """Predicted time of `rows` that wait, in the batches that `next_batch` would make."""
        key = (rows, percentile)
        known = self._work.get(key)
        if known is None:
            if len(self._work) >= _REMEMBERED:
                self._work.clear()
            known = self._work[key] = work_ms(self.profile, rows, percentile)
        return known * self.factor

    def observe(self, rows: int, took_ms: float, now: float) -> None:
        """Learn from a run."""
        expected = self.run_ms(rows, 50.0)
        step = STEP if took_ms > expected else 1.0 / STEP
        self.factor = min(MOST, max(LEAST, self.factor * step))
        self._seen = now

    def forget(self, now: float) -> None:
        """Halve the correction for every second without news."""
        if self.factor != 1.0 and now - self._seen > FORGET_S:
            halves = min(60.0, (now - self._seen) / FORGET_S)
            self.factor = 1.0 + (self.factor - 1.0) * 0.5**halves
            self._seen = now
