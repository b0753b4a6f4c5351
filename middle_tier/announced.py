"""Bundle metadata in the bucket `catalog`: put there by the topmost site, followed by the others.

It is signed, so the bucket need not be believed; it brings news at once, and keeps a copy with the
hub's streams. What a site makes of the news is its updater's to decide.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from edge_agent.background import beside
from edge_agent.bundles.sources import Piece, Source
from edge_agent.bus.kv import Bucket, Entry
from edge_agent.clock import Clock, heed
from middle_tier.mirror import Mirror
from protocol.errors import MeshError, UnknownError

log = logging.getLogger(__name__)

CATALOG = "catalog"
NEWEST = "timestamp.json"
"""Written last: whoever sees it has seen what it names."""
RETRY_S = 2.0

Told = Callable[[], Mapping[str, bytes]]
"""The metadata that others may hear of, by file name."""


class Announcer:
    """Keeps the bucket as the mirror is. The mutable state is whether there is news."""

    def __init__(self, bucket: Bucket, told: Told, clock: Clock) -> None:
        self._bucket = bucket
        self._told = told
        self._clock = clock
        self._news = asyncio.Event()
        self._news.set()

    def look(self) -> None:
        """There may be news."""
        self._news.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Announce until the block ends."""
        async with beside(self._announce(), "catalog"):
            yield

    async def _announce(self) -> None:
        while True:
            heed()
            await self._news.wait()
            self._news.clear()
            try:
                await announced(self._bucket, self._told())
            except MeshError as error:
                log.debug("the catalogue is not told yet: %s", error)
                self._news.set()
                await self._clock.sleep(RETRY_S)


async def announced(bucket: Bucket, files: Mapping[str, bytes]) -> None:
    """Have the bucket hold these files: new ones first, the timestamp after, what is old last."""
    if NEWEST not in files:
        return
    present = set(await bucket.keys())
    for name in sorted(files, key=lambda one: one == NEWEST):
        known = await bucket.get(name) if name in present else None
        if known is None or known.value != files[name]:
            await bucket.put(name, files[name])
    for name in present - set(files):
        await bucket.delete(name)


class CatalogSource:
    """Metadata as the bucket's mirror has it, else as `otherwise` says; bytes from there alone."""

    def __init__(self, mirror: Mirror, otherwise: Source) -> None:
        self._mirror = mirror
        self._otherwise = otherwise

    def __repr__(self) -> str:
        return f"<CatalogSource {self._otherwise!r}>"

    async def read(self, name: str, offset: int, length: int) -> Piece:
        entry = self._mirror.entries.get(name)
        if entry is not None and entry.value is not None:
            value = entry.value
            return Piece(len(value), offset, value[offset : offset + length])
        if name.endswith(".root.json") and NEWEST in self._mirror.entries:
            raise UnknownError(f"no {name} in the catalogue")  # the next root, before there is one
        return await self._otherwise.read(name, offset, length)


def on_news(look: Callable[[], None]) -> Callable[[Entry], None]:
    """Return what has somebody look when the newest state is another."""
    return lambda entry: look() if entry.key == NEWEST else None
