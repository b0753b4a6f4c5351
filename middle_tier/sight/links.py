"""Pure. A link as a node advertises it, shifted to what answers of the last seconds have shown."""

from collections import deque
from math import inf

from protocol.types import Latency

YOUNG_S = 10.0
"""Samples older than this say nothing any more."""

SAMPLES = 16
"""How many of them are kept."""

SLIGHT, SLIGHT_MS = 0.02, 0.02
"""Changes below this share, and this much, are not worth telling the table of."""


class LinkSamples:
    """What is left of recent round trips when the time on the other side is taken away."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, link_ms: float, now: float) -> None:
        self._samples.append((now, max(0.0, link_ms)))

    @property
    def until_s(self) -> float:
        """When the oldest will be too old; infinite where there is none."""
        return self._samples[0][0] + YOUNG_S if self._samples else inf

    def expire(self, now: float) -> bool:
        """Drop what is too old; return whether anything was."""
        before = len(self._samples)
        while self._samples and now - self._samples[0][0] > YOUNG_S:
            self._samples.popleft()
        return len(self._samples) < before

    def believed(self, advertised: Latency, before: Latency) -> Latency:
        """Return the advertised distribution, moved so that its median is that of the samples.

        Moved, not stretched: a dozen samples know the middle of a distribution, not its tail.
        What was believed `before` stands while the difference would be slight.
        """
        if not self._samples:
            return advertised
        middle = sorted([sample for _, sample in self._samples])[len(self._samples) // 2]
        shift = middle - advertised.ms[0]
        tail = advertised.ms[-1] + shift
        if abs(tail - before.ms[-1]) + abs(middle - before.ms[0]) <= SLIGHT * middle + SLIGHT_MS:
            return before
        p50, p90, p95, p99, p999 = advertised.ms
        moved = (p50 + shift, p90 + shift, p95 + shift, p99 + shift, p999 + shift)
        return Latency.model_construct(ms=moved, count=len(self._samples))
