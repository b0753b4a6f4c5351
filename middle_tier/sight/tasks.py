"""Pure. Which tasks there are: those that somebody who is heard of speaks of, and no others."""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from protocol.bundles import Task

Teller = tuple[str, str]
"""A node by site and name; a site by "" and its name."""


class Tasks:
    """The mutable state is who speaks of which."""

    def __init__(self) -> None:
        self._known: dict[str, Task] = {}
        self._told: dict[Teller, frozenset[str]] = {}
        self._tellers: Counter[str] = Counter()
        self.known: Mapping[str, Task] = MappingProxyType(self._known)

    def __repr__(self) -> str:
        return f"<Tasks {', '.join(sorted(self._known))}>"

    def say(self, teller: Teller, tasks: Iterable[Task]) -> None:
        """Take what somebody speaks of: instead of what it has spoken of before."""
        said = {task.name: task for task in tasks}
        before = self._told.get(teller, frozenset())
        self._known.update(said)
        if said.keys() != before:
            self._told[teller] = frozenset(said)
            self._count(added=said.keys() - before, dropped=before - said.keys())

    def forget(self, teller: Teller) -> None:
        """Somebody is not heard of any more."""
        self._count(added=(), dropped=self._told.pop(teller, frozenset()))

    def _count(self, *, added: Iterable[str], dropped: Iterable[str]) -> None:
        self._tellers.update(added)
        for name in dropped:
            self._tellers[name] -= 1
            if not self._tellers[name]:
                del self._tellers[name], self._known[name]
