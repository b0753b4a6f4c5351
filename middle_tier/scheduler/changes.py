"""Which rows of the table have changed, for whoever keeps a copy of some of them."""

from collections import deque

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Lines = tuple[Floats, ...]

KEPT = 32
"""Changes that are remembered. Who has missed more copies anew, which costs as much."""


class Changes:
    """The mutable state is the last changes, and how many there have ever been."""

    def __init__(self) -> None:
        self.count = 0
        self._last: deque[Rows | None] = deque(maxlen=KEPT)

    def __repr__(self) -> str:
        return f"<Changes {self.count}>"

    def add(self, rows: Rows | None) -> None:
        """Note that these rows have changed; None: any may have."""
        self.count += 1
        self._last.append(rows)

    def since(self, count: int) -> Rows | None:
        """Return the rows of all changes after the first `count`; None: any may have changed."""
        missed = self.count - count
        if missed > len(self._last):
            return None
        if missed == 1:
            return self._last[-1]
        found = [self._last[-at] for at in range(missed, 0, -1)]
        rows = [each for each in found if each is not None]
        if len(rows) < len(found):
            return None
        return np.concatenate(rows) if rows else np.empty(0, np.intp)


class Places:
    """Where each row of the table is among some of them."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._place: Rows = np.empty(0, np.intp)

    def __repr__(self) -> str:
        return f"<Places of {len(self.rows)} rows>"

    def of(self, rows: Rows, size: int) -> Rows:
        """Return the places of some of the table's `size` rows.

        For those that are not here: the place after the last.
        """
        if len(self._place) < size:
            self._place = np.full(size, len(self.rows), np.intp)
            here = (self.rows < size).nonzero()[0]
            self._place[self.rows[here]] = here
        return self._place.take(rows)


class Copy:
    """Some rows of the table's lines that change all the time, side by side and kept current.

    So that a decision reads its groups one after the other, in the order in which it wants them:
    gathering them from all over the table anew would take as long as all that it computes of them.
    """

    def __init__(self, places: Places, changes: Changes) -> None:
        self._places = places
        self._changes = changes
        self.seen = -1
        """How many changes it knows of."""
        self.now: Floats = np.empty((0, 0))
        """As in the table, one entry for each of the rows, and one that means nothing."""
        self.lines: Lines = ()
        """The same, line by line."""

    def __repr__(self) -> str:
        return f"<Copy of {len(self._places.rows)} rows>"

    def renew(self, table: Floats) -> None:
        """Bring it up to date with the table's lines."""
        changed = None if self.seen < 0 else self._changes.since(self.seen)
        self.seen = self._changes.count
        if changed is None:
            rows = self._places.rows
            self.now = np.empty((len(table), len(rows) + 1))
            self.now[:, :-1] = table.take(rows, axis=1)
            self.lines = tuple(self.now)
            return
        places = self._places.of(changed, table.shape[1])
        for at, line in enumerate(self.lines):  # one by one, as all at once takes longer
            line[places] = table[at].take(changed)
