"""A bucket of desired state followed, its last-known content kept in a file.

So a site goes on as it was told last, with its uplink cut and after a restart meanwhile. It never
writes to the bucket, and what the values mean is its users' business.
"""

import asyncio
import base64
import binascii
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent import kept
from edge_agent.background import beside
from edge_agent.bus.kv import Bucket, Entry

log = logging.getLogger(__name__)

Changed = Callable[[Entry], None]
"""Called on the event loop with what is new; a value of None: the key is gone. Must not raise."""


class Mirror:
    """The mutable state is the entries, and which version of them the file holds."""

    def __init__(self, bucket: Bucket, path: Path) -> None:
        self._bucket = bucket
        self._path = path
        self._entries = {entry.key: entry for entry in load(path)}
        self._callbacks: list[Changed] = []
        self._version = 0
        self._saved = 0
        self._saving = threading.Lock()
        self._dirty = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Mirror {self._path.stem} | {len(self._entries)} entries>"

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What exists, as far as is known, by key."""
        return self._entries

    def on_change(self, changed: Changed) -> None:
        """Have `changed` called for everything that exists, now, and for every later change."""
        self._callbacks.append(changed)
        for entry in tuple(self._entries.values()):
            changed(entry)

    async def follow(self) -> None:
        """Take what the bucket tells, for ever."""
        async with self._bucket.watch(tuple(self._entries)) as entries:
            async for entry in entries:
                self._take(entry)

    async def keep(self) -> None:
        """Write to the file what was taken, on a thread of its own, for ever."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.to_thread(self.save, self._version, tuple(self._entries.values()))

    def flush(self) -> None:
        """Write what is not written yet."""
        self.save(self._version, tuple(self._entries.values()))

    def save(self, version: int, entries: Iterable[Entry]) -> None:
        """Write this version unless a newer one stands there; a full disk must not end a site."""
        with self._saving:
            if version <= self._saved:
                return
            try:
                kept.write(self._path, dump(entries))
            except OSError as error:
                log.warning("%s is not up to date: %s", self._path, error.strerror)
                return
            self._saved = version

    def _take(self, entry: Entry) -> None:
        if self._entries.get(entry.key) == entry:
            return
        if entry.value is not None:
            self._entries[entry.key] = entry
        elif self._entries.pop(entry.key, None) is None:
            return
        self._version += 1
        self._dirty.set()
        for changed in self._callbacks:
            changed(entry)


@asynccontextmanager
async def following(bucket: Bucket, path: Path) -> AsyncIterator[Mirror]:
    """Follow `bucket` until the block ends. What was known last is there at once."""
    mirror = Mirror(bucket, path)
    try:
        async with (
            beside(mirror.follow(), f"mirror-{path.stem}"),
            beside(mirror.keep(), f"mirror-{path.stem}-file"),
        ):
            yield mirror
    finally:
        mirror.flush()


def dump(entries: Iterable[Entry]) -> bytes:
    """Entries as they stand in the file."""
    return json.dumps(
        {
            entry.key: [entry.revision, base64.b64encode(entry.value).decode()]
            for entry in entries
            if entry.value is not None
        },
        indent=1,
    ).encode()


def load(path: Path) -> tuple[Entry, ...]:
    """Return what the file holds; nothing when there is none, or it is not one of ours."""
    try:
        document = json.loads(path.read_bytes())
        return tuple(
            Entry(key, base64.b64decode(value, validate=True), int(revision))
            for key, (revision, value) in document.items()
        )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        log.warning(
            "%s cannot be read, so nothing is known until the parent tells: %s", path, error
        )
        return ()
