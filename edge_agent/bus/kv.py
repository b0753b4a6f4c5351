"""Desired state as keys and values with revisions. Its meaning is `tests/conformance/test_kv.py`.

Not for what nodes tell of themselves: heartbeats and capacity travel as frames.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from protocol.errors import BadNameError

HISTORY_LIMIT = 64
"""JetStream keeps no more revisions of a key; a longer history is a stream."""

_KEY = re.compile(r"[A-Za-z0-9_=/-]+(\.[A-Za-z0-9_=/-]+)*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision of one key."""

    key: str
    value: bytes | None
    """None: deleted."""
    revision: int
    """Grows with every change of the bucket; unique within it."""


class Bucket(Protocol):
    """Keys and values. Every method but `watch` raises `UnreachableError` while cut off."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest revision; None when there is none, or it is a deletion."""
        ...

    async def put(self, key: str, value: bytes, *, expected: int | None = None) -> int:
        """Write, and return the new revision.

        Raises `ConflictError` when the key's revision is not `expected` (0: must not exist),
        `TooLargeError`, `BadNameError`.
        """
        ...

    async def delete(self, key: str) -> None:
        """Mark as deleted; its history stays."""
        ...

    async def keys(self) -> tuple[str, ...]:
        """Return those that exist, sorted."""
        ...

    async def history(self, key: str) -> tuple[Entry, ...]:
        """Return what is kept of a key, deletions too, oldest first."""
        ...

    def watch(
        self, known: Collection[str] = ()
    ) -> AbstractAsyncContextManager[AsyncIterator[Entry]]:
        """Give every present entry, then changes, until the block ends.

        Of changes in quick succession only the last may come. After whatever break the entries are
        looked through again, so that nothing stays unseen; one may come twice. `known` are keys
        seen earlier: those that are gone come as deletions. A bucket that is not there, or cannot
        be reached, is waited for.
        """
        ...


class Buckets(Protocol):
    """Where buckets are kept."""

    async def bucket(self, name: str, *, history: int = 1) -> Bucket:
        """Return the bucket, made when it is absent. Raises `UnreachableError`."""
        ...

    def at(self, name: str) -> Bucket:
        """Return the bucket that is, or one day will be, of this name; asks nobody."""
        ...


def check_key(key: str) -> str:
    """Return `key` if it may be one, else raise `BadNameError`."""
    if _KEY.fullmatch(key) is None:
        raise BadNameError(
            f"{key[:80]!r} is not a key",
            "use letters, digits, '_', '=', '/', '-', and '.' between others",
        )
    return key


def digest_key(digest: str) -> str:
    """Return ``sha256:<hex>`` as a key, which knows no colon."""
    return check_key(digest.replace(":", "-", 1))


def newest(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The last entry of each key, in order of revision."""
    last: dict[str, Entry] = {}
    for entry in entries:
        last.pop(entry.key, None)
        last[entry.key] = entry
    return last


def listing(entries: Iterable[Entry], known: Collection[str]) -> list[Entry]:
    """What one tells who knew of `known` and now hears of all entries: no deletion in vain."""
    last = newest(entries)
    told = [entry for entry in last.values() if entry.value is not None or entry.key in known]
    top = max((entry.revision for entry in last.values()), default=0)
    return told + [Entry(key, None, top) for key in known if key not in last]
