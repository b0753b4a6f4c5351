"""Pure. How long a variant takes here: what to run next to know it, and what the runs so far say.

Running it is profiler's; when that is done, measuring's.
"""

from collections.abc import Mapping

import numpy as np

from protocol.bundles import Variant
from protocol.types import QUANTILES, Latency, Profile

WARM_UP_RUNS = 2
LEAST_RUNS = 3
MOST_RUNS = 200


class Measurement:
    """Each batch size in turn, the smallest first, until `budget_s` of runs is used up.

    The smallest is always measured; what would not fit any more is scaled (`completed`). The
    mutable state is the runs so far: it may rest for as long as it must, and go on.
    """

    def __init__(
        self, variant: Variant, budget_s: float, *, load_ms: float, memory_bytes: int
    ) -> None:
        self.load_ms = load_ms
        self.memory_bytes = memory_bytes
        """What it took when it was loaded, and what the runs have needed beside."""
        self.until = 0.0
        """When the run under way should be over."""
        self._variant = variant
        self._left_s = budget_s
        self._known: dict[int, Latency] = {}
        self._unknown = list(batch_sizes(variant))
        self._share_s = budget_s / len(self._unknown)
        """What is left of the budget for this size."""
        self._runs = 0
        self._last_ms = 0.0
        self._samples_ms: list[float] = []

    def __repr__(self) -> str:
        return f"<Measurement | {sorted(self._known)} known, {self._unknown} not yet>"

    @property
    def rows(self) -> int | None:
        """What to run next; None: nothing, it is whole."""
        return self._unknown[0] if self._unknown else None

    @property
    def sizes(self) -> int:
        """How many sizes it can say something of."""
        return len(self._known) + bool(self._samples_ms)

    @property
    def likely_s(self) -> float:
        """What the next run should take."""
        if not self._unknown:
            return 0.0
        return (self._last_ms or self._likely_ms(self._unknown[0])) / 1e3

    def begun(self, now: float) -> None:
        """A run of `rows` begins."""
        self.until = now + self.likely_s

    def took(self, seconds: float) -> None:
        """It is over. The first ones of a size count only if there is no time for others."""
        self._left_s -= seconds
        self._share_s -= seconds
        self._runs += 1
        self._last_ms = seconds * 1e3
        if self._runs <= WARM_UP_RUNS:
            enough = self._share_s < 0
        else:
            least = WARM_UP_RUNS + LEAST_RUNS
            enough = self._runs >= least and (self._share_s <= 0 or self._runs >= MOST_RUNS)
        if enough or self._runs > WARM_UP_RUNS:
            self._samples_ms.append(self._last_ms)
        if enough:
            self._end_size()

    def profile(self) -> Profile:
        """What it says so far; only when there is something."""
        known = dict(self._known)
        if self._samples_ms:
            known[self._unknown[0]] = self._distribution()
        runs = completed(known, self._variant)
        return Profile(
            load_ms=self.load_ms, memory_bytes=self.memory_bytes, runs=runs, measured=True
        )

    def _end_size(self) -> None:
        self._known[self._unknown.pop(0)] = self._distribution()
        self._runs, self._last_ms, self._samples_ms = 0, 0.0, []
        if self._unknown:
            least_ms = self._likely_ms(self._unknown[0]) * (WARM_UP_RUNS + LEAST_RUNS)
            if least_ms > self._left_s * 1e3:
                self._unknown.clear()
        self._share_s = self._left_s / max(1, len(self._unknown))

    def _distribution(self) -> Latency:
        return distribution(self._samples_ms, self._variant.profile.run(self._unknown[0]))

    def _likely_ms(self, rows: int) -> float:
        if not self._known:
            return self._variant.profile.run(rows).ms[0]
        known = completed(self._known, self._variant)
        largest = max(self._known)
        return known[rows].ms[0] if rows in known else known[largest].ms[0] * rows / largest


def batch_sizes(variant: Variant) -> tuple[int, ...]:
    """The sizes worth measuring: the file's own, or powers of two and the largest."""
    if variant.batches:
        return variant.batches
    powers = [1 << power for power in range(variant.max_batch.bit_length())]
    return tuple(sorted({*powers, variant.max_batch}))


def distribution(samples_ms: list[float], before: Latency | None = None) -> Latency:
    """The percentiles of what was measured.

    One that so few samples cannot show is as far from the median as `before` has it, where that is
    more than one guessed figure: else a single run would say that all take as long as it did, and
    one straggler among a few that one in ten is one.
    """
    ms: list[float] = np.percentile(samples_ms, QUANTILES).tolist()
    if before is not None and 0 < before.ms[0] < before.ms[-1]:
        for at, (percentile, known_ms) in enumerate(zip(QUANTILES, before.ms, strict=True)):
            if len(samples_ms) * (1.0 - percentile / 100.0) < 1.0:
                ms[at] = max(ms[max(0, at - 1)], ms[0] * known_ms / before.ms[0])
    return Latency.model_validate({"ms": ms, "count": len(samples_ms)})


def rising(runs: Mapping[int, Latency]) -> dict[int, Latency]:
    """A larger batch is never predicted faster than a smaller one: that would be noise."""
    floor: Latency | None = None
    risen: dict[int, Latency] = {}
    for size, latency in sorted(runs.items()):
        if floor is not None:
            ms = tuple(max(pair) for pair in zip(latency.ms, floor.ms, strict=True))
            floor = Latency.model_validate({"ms": ms, "count": latency.count})
        else:
            floor = latency
        risen[size] = floor
    return risen


def completed(runs: Mapping[int, Latency], variant: Variant) -> dict[int, Latency]:
    """Let them rise, and add the larger sizes that were not measured, as estimates (`count` 0).

    Each is as far above the largest measured as the variant's profile has it; where that says
    nothing of it, on the line through the two largest measured. Of what neither says anything of,
    several runs are predicted.
    """
    known, largest = rising(runs), max(runs)
    whole = dict(known)
    for rows in batch_sizes(variant):
        if rows > largest:
            ratio = _by_profile(variant.profile, rows, largest) or _by_line(known, rows)
            if ratio is not None:
                ms = tuple(each * ratio for each in known[largest].ms)
                whole[rows] = Latency.model_validate({"ms": ms})
    return rising(whole)


def _by_profile(profile: Profile, rows: int, largest: int) -> float | None:
    """How many times as long as the largest it takes, as the profile has it."""
    if rows not in profile.runs or largest not in profile.runs or not profile.runs[largest].ms[0]:
        return None
    return profile.runs[rows].ms[0] / profile.runs[largest].ms[0]


def _by_line(runs: Mapping[int, Latency], rows: int) -> float | None:
    """The same, were each further row as long as the last that were measured."""
    if len(runs) == 1:
        return None
    small, large = sorted(runs)[-2:]
    large_ms = runs[large].ms[0]
    if not large_ms:
        return None
    row_ms = (large_ms - runs[small].ms[0]) / (large - small)
    return 1.0 + row_ms * (rows - large) / large_ms
