"""Pure. Who is to be looked at, and when: so that a tick costs what is due, not what is known."""

import heapq
from itertools import count
from typing import Generic, TypeVar

Who = TypeVar("Who")


class Agenda(Generic[Who]):
    """The mutable state is a heap of times. Whoever is looked at too early is put in again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Who]] = []
        self._order = count()

    def __repr__(self) -> str:
        return f"<Agenda of {len(self._heap)}>"

    def add(self, at_s: float, who: Who) -> None:
        heapq.heappush(self._heap, (at_s, next(self._order), who))

    def due(self, now: float) -> list[Who]:
        """Take out all whose time has passed."""
        found: list[Who] = []
        while self._heap and self._heap[0][0] < now:
            found.append(heapq.heappop(self._heap)[2])
        return found
