"""Lines `fixed + each x correction` over a task's groups, side by side.

So that a correction of a few groups is taken into all the lines at once, and not by each decision.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class Line(NamedTuple):
    """One entry for each group."""

    each: Floats
    fixed: Floats
    now: Floats
    """With the correction as it is."""

    def put(self, each: Floats, fixed: Floats, correction: Floats) -> None:
        """Begin anew."""
        self.each[:], self.fixed[:] = each, fixed
        self.correct(correction)

    def correct(self, correction: Floats) -> None:
        """Take corrections of all groups."""
        np.multiply(self.each, correction, out=self.now)
        np.add(self.now, self.fixed, out=self.now)


class Lines:
    """The mutable state is the lines' figures, how many lines there are, and how each is corrected.

    What corrects may differ from line to line.
    """

    def __init__(self, room: int, size: int) -> None:
        self._all: Floats = np.zeros((3, room, size + 1))
        """With one entry more for groups that are not here."""
        self._sort: Rows = np.zeros(room, np.intp)
        self._count = 0

    def __repr__(self) -> str:
        return f"<{self._count} lines of {self._all.shape[2] - 1}>"

    def add(self, sort: int) -> Line:
        """Return a new line, about which nothing is known."""
        each, fixed, now = self._all[:, self._count, :-1]
        self._sort[self._count] = sort
        self._count += 1
        return Line(each, fixed, now)

    def correct(self, places: Rows, corrections: Floats) -> None:
        """Take corrections of some groups, of every sort, into all lines."""
        count, (each, fixed, now) = self._count, self._all
        corrected = corrections.take(self._sort[:count], axis=0)
        corrected *= each[:count].take(places, axis=1)
        corrected += fixed[:count].take(places, axis=1)
        now[:count, places] = corrected
