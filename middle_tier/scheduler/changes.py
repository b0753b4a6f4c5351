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

    def since(self, count: int) -> list[Rows] | None:
        """Return the rows of all changes after the first `count`; None: any may have changed."""
        missed = self.count - count
        if missed > len(self._last):
            return None
        found = [self._last[-at] for at in range(missed, 0, -1)]
        rows = [each for each in found if each is not None]
        return rows if len(rows) == len(found) else None


class Copy:
    """Some rows of the table's lines that change all the time, side by side and kept current.

    So that a decision reads its groups one after the other, in the order in which it wants them:
    gathering them from all over the table anew would take as long as all that it computes of them.
    """

    def __init__(self, rows: Rows, changes: Changes) -> None:
        self._rows = rows
        self._changes = changes
        self._seen = -1
        self._place: Rows = np.empty(0, np.intp)
        """Row -> its place here; of those that are not here, the place after the last."""
        self.now: Floats = np.empty((0, 0))
        """As in the table, one entry for each of `rows`, and one that means nothing."""
        self.lines: Lines = ()
        """The same, line by line."""

    def __repr__(self) -> str:
        return f"<Copy of {len(self._rows)} rows>"

    def renew(self, table: Floats) -> None:
        """Bring it up to date with the table's lines."""
        changed = None if self._seen < 0 else self._changes.since(self._seen)
        self._seen = self._changes.count
        if changed is None:
            self.now = np.empty((len(table), len(self._rows) + 1))
            self.now[:, :-1] = table.take(self._rows, axis=1)
            self.lines = tuple(self.now)
            return
        if changed:
            rows = changed[0] if len(changed) == 1 else np.concatenate(changed)
            places = self._places(table.shape[1]).take(rows)
            for at, line in enumerate(self.lines):  # one by one, as all at once takes longer
                line[places] = table[at].take(rows)

    def places(self, changed: list[Rows]) -> Rows:
        """Return the places of those rows that are here."""
        rows = np.unique(np.concatenate(changed))
        found = self._places(int(rows[-1]) + 1).take(rows)
        return found[found < len(self._rows)]

    def _places(self, size: int) -> Rows:
        if len(self._place) < size:
            self._place = np.full(size, len(self._rows), np.intp)
            self._place[self._rows[self._rows < size]] = np.flatnonzero(self._rows < size)
        return self._place
