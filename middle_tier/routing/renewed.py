"""Has a task's groups take in what answers have taught while the loop has nothing else to do.

So that the next decision need not. Only for tasks of which the last plan was made anew: where the
plan of a moment ago serves again, nothing reads the groups, and taking it in would be for nothing.
"""

from asyncio import get_running_loop

from middle_tier.scheduler.groups import Groups


class Renewed:
    """The mutable state is whose groups were read last, and whether they are about to renew."""

    def __init__(self) -> None:
        self._read: set[Groups] = set()
        self._due = False

    def __repr__(self) -> str:
        return f"<Renewed {len(self._read)} tasks>"

    def add(self, groups: Groups) -> None:
        """A plan was made of them."""
        self._read.add(groups)

    def discard(self, groups: Groups) -> None:
        """A plan did without reading them."""
        self._read.discard(groups)

    def soon(self) -> None:
        """Renew after all that is ready in this turn of the loop: once for all answers in it."""
        if self._read and not self._due:
            self._due = True
            get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        self._due = False
        for groups in self._read:
            groups.renew()
