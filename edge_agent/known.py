"""Pure. What was worked out from an object, found again by that very object, not by one like it.

For immutable objects that are handed on again and again: comparing or hashing them would take
longer than what is saved.
"""

from typing import Generic, TypeVar

MOST = 256

K = TypeVar("K")
V = TypeVar("V")


class Known(Generic[K, V]):
    """At most `MOST`; when there are more, all are forgotten."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[K, V]] = {}

    def __repr__(self) -> str:
        return f"<Known {len(self._by_id)}>"

    def get(self, key: K) -> V | None:
        # Each key is kept beside its value: while it is here no other object has its id.
        found = self._by_id.get(id(key))
        return None if found is None else found[1]

    def put(self, key: K, value: V) -> None:
        if len(self._by_id) >= MOST:
            self._by_id.clear()
        self._by_id[id(key)] = key, value
