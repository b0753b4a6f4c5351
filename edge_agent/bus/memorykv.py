"""Buckets in memory: for a site of one, for tests, for the simulator. Nothing is kept on disk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager

from edge_agent.bus.kv import HISTORY_LIMIT, Bucket, Entry, check_key, listing, newest
from protocol.errors import ConflictError


class MemoryBuckets:
    """The mutable state is the buckets."""

    def __init__(self) -> None:
        self._buckets: dict[str, MemoryBucket] = {}

    async def bucket(self, name: str, *, history: int = 1) -> Bucket:
        found = self.at(name)
        found.depth = max(found.depth, min(history, HISTORY_LIMIT))
        return found

    def at(self, name: str) -> "MemoryBucket":
        return self._buckets.setdefault(name, MemoryBucket())


class MemoryBucket:
    """The mutable state is the revisions kept, and who watches."""

    def __init__(self) -> None:
        self.depth = 1
        """Revisions kept of a key."""
        self._revision = 0
        self._kept: dict[str, list[Entry]] = {}
        self._watchers: set[asyncio.Queue[Entry]] = set()

    async def get(self, key: str) -> Entry | None:
        last = self._kept.get(check_key(key), [None])[-1]
        return last if last is not None and last.value is not None else None

    async def put(self, key: str, value: bytes, *, expected: int | None = None) -> int:
        present = await self.get(key)
        revision = present.revision if present is not None else 0
        if expected is not None and revision != expected:
            raise ConflictError(
                f"{key} is at revision {revision}, not {expected}", "read it again, then decide"
            )
        return self._append(Entry(key, value, self._revision + 1))

    async def delete(self, key: str) -> None:
        self._append(Entry(check_key(key), None, self._revision + 1))

    async def keys(self) -> tuple[str, ...]:
        return tuple(sorted(key for key, kept in self._kept.items() if kept[-1].value is not None))

    async def history(self, key: str) -> tuple[Entry, ...]:
        return tuple(self._kept.get(check_key(key), ()))

    @asynccontextmanager
    async def watch(self, known: Collection[str] = ()) -> AsyncIterator[AsyncIterator[Entry]]:
        changes: asyncio.Queue[Entry] = asyncio.Queue()
        every = (entry for kept in self._kept.values() for entry in kept)
        for entry in listing(newest(every).values(), known):
            changes.put_nowait(entry)
        self._watchers.add(changes)
        try:
            async with aclosing(_taken(changes)) as entries:
                yield entries
        finally:
            self._watchers.discard(changes)

    def _append(self, entry: Entry) -> int:
        self._revision = entry.revision
        kept = self._kept.setdefault(entry.key, [])
        kept.append(entry)
        del kept[: -self.depth]
        for watcher in self._watchers:
            watcher.put_nowait(entry)
        return entry.revision


async def _taken(changes: "asyncio.Queue[Entry]") -> AsyncGenerator[Entry, None]:
    while True:
        yield await changes.get()
