"""Pure. How many groups a plan leaves out, by reason: counted when somebody asks."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from middle_tier.scheduler import filters
from middle_tier.scheduler.ranking import Scored


class _Left(NamedTuple):
    """How many groups with a node were left after each step."""

    permitted: int
    accurate: int
    within: int
    fits: int
    ranked: int


class Tally(Mapping[str, int]):
    """Every group with a node that is not ranked, under the reason that it met first.

    As most plans have a candidate, and then nobody asks why the others are out.
    """

    __slots__ = ("_counts", "_left", "_lost", "_out")

    def __init__(self, scored: Scored, ranked: int, lost: dict[int, str]) -> None:
        live_sum = scored.lens.live_sum
        accurate = live_sum.item(scored.size)
        self._left = _Left(live_sum.item(-1), accurate, scored.within, scored.fits, ranked)
        self._out = scored.lens.live_out
        self._lost = lost
        self._counts: dict[str, int] | None = None

    def __repr__(self) -> str:
        return repr(self._known())

    def __getitem__(self, reason: str) -> int:
        return self._known()[reason]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, int]:
        if self._counts is None:
            self._counts = self._count()
        return self._counts

    def _count(self) -> dict[str, int]:
        left, counts = self._left, self._out.copy()
        for reason, count in (
            (filters.INACCURATE, left.permitted - left.accurate),
            (filters.TOO_SLOW, left.accurate - left.within),
            (filters.TOO_DEAR, left.within - left.fits),
            (filters.RANKED_LOWER, left.fits - left.ranked - len(self._lost)),
        ):
            if count:
                counts[reason] = count
        for reason in self._lost.values():
            counts[reason] = counts.get(reason, 0) + 1
        return counts
