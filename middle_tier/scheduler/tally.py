"""Pure. How many groups a plan leaves out, by reason: counted when somebody asks."""

from collections.abc import Iterator, Mapping

from middle_tier.scheduler import filters
from middle_tier.scheduler.ranking import Scored


class Tally(Mapping[str, int]):
    """Every group with a node that is not ranked, under the reason that it met first.

    As most plans have a candidate, and then nobody asks why the others are out.
    """

    __slots__ = ("_counts", "_left", "_live", "_lost", "_out")

    def __init__(self, scored: Scored, ranked: int, lost: dict[int, str]) -> None:
        lens = scored.lens
        self._live = lens.live_sum  # made anew when it changes, as is the next
        self._out = lens.live_out
        self._left = scored.size, scored.within, len(scored.places), ranked
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
        counts, (size, within, fits, ranked) = self._out.copy(), self._left
        accurate = self._live.item(size)
        for reason, count in (
            (filters.INACCURATE, self._live.item(-1) - accurate),
            (filters.TOO_SLOW, accurate - within),
            (filters.TOO_DEAR, within - fits),
            (filters.RANKED_LOWER, fits - ranked - len(self._lost)),
        ):
            if count:
                counts[reason] = count
        for reason in self._lost.values():
            counts[reason] = counts.get(reason, 0) + 1
        return counts
