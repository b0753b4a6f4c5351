"""Pure. The numbers that stand for names in columns: of variants, architectures and sites."""

from collections.abc import Iterable
from itertools import count

NOBODYS = -1
"""What stands for a name that nobody here has. No column holds it."""

SWEPT_AT = 256
"""Names at which those are forgotten that nobody has any more."""


class Names:
    """The mutable state is the names, each with its number. No number is given twice."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next = count()
        self._sweep_at = SWEPT_AT

    def __repr__(self) -> str:
        return f"<Names {len(self)}>"

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, name: str) -> int:
        """Return the number of a name that somebody has."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = next(self._next)
        return number

    def known(self, name: str) -> int:
        """Return the number of a name, whoever says it."""
        return self._numbers.get(name, NOBODYS)

    def sweep(self, had: Iterable[str]) -> None:
        """Forget all names but these, once there are many."""
        if len(self._numbers) > self._sweep_at:
            kept = {name: self._numbers[name] for name in had}
            self._numbers = kept
            self._sweep_at = max(SWEPT_AT, 2 * len(kept))
