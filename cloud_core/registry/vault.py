"""A repository's bytes kept a second time, in JetStream's object storage; each restores the other.

The bucket is believed no more than any mirror: what comes out of it gets its name in the folder
only if it hashes to it. Serving is done from there, never from the bucket.
"""

import asyncio
import hashlib
import logging
from contextlib import aclosing

from cloud_core.registry.store import RegistryStore
from edge_agent.audit import Audit
from edge_agent.bundles.depot import Depot
from edge_agent.bundles.disk import Disk
from edge_agent.bundles.opened import opened
from edge_agent.bundles.sources import BLOBS
from edge_agent.bundles.trust import TrustedSet
from edge_agent.bus.kv import Bucket
from edge_agent.bus.natsobjects import NatsObjects
from edge_agent.clock import Clock
from protocol.bundles import digest_key
from protocol.errors import MeshError, UnknownError, UnreachableError, UntrustedError

log = logging.getLogger(__name__)

OBJECTS = "bundles"
"""The bucket."""


class Vault:
    """The mutable state is what was refused from the bucket, and what has been said."""

    def __init__(
        self, store: RegistryStore, objects: NatsObjects, catalog: Bucket, *, root: bytes,
        audit: Audit,
    ) -> None:  # fmt: skip
        self._store = store
        self._objects = objects
        self._catalog = catalog
        self._root = root
        self._audit = audit
        self._disk = Disk()
        self._depot = Depot(store.folder / BLOBS, self._disk)
        self._bad: set[str] = set()
        self._said: dict[str, str] = {}
        self._missing = ""

    def __repr__(self) -> str:
        return f"<Vault {self._store.folder} | {self._objects!r}>"

    async def keep(self, clock: Clock, period_s: float) -> None:
        """Have folder and bucket hold the same, for ever."""
        while True:
            try:
                await self.look()
            except (MeshError, OSError) as error:
                self._say(OBJECTS, error)
            await clock.sleep(period_s)

    async def look(self) -> frozenset[str]:
        """Keep what is only in the folder, restore what is only in the bucket.

        Return the digests that the bucket does not hold after all: all others were seen to.
        """
        await self._objects.make()
        await self._metadata()
        trusted = await asyncio.to_thread(self._store.believed)
        kept = await self._objects.names()
        missing: set[str] = set()
        for target in trusted.catalog().values():
            if not await self._same(kept, target.digest, target.size_bytes):
                missing.add(target.digest)
            wanted = await self._variants(trusted, target.path)
            for digest, size_bytes in wanted.items():
                if not await self._same(kept, digest, size_bytes):
                    missing.add(digest)
        self._short(missing)
        return frozenset(missing)

    async def _metadata(self) -> None:
        """Take the catalogue's, where the folder has none."""
        if self._store.whole:
            return
        files = {}
        for name in await self._catalog.keys():
            entry = await self._catalog.get(name)
            if entry is not None and entry.value is not None:
                files[name] = entry.value
        if files:
            await asyncio.to_thread(self._restored, files)

    def _restored(self, files: dict[str, bytes]) -> None:
        with self._store.writing():
            if not self._store.whole:
                self._store.restore(files, self._root)
                log.warning("the metadata in %s was lost, and is restored", self._store.folder)

    async def _variants(self, trusted: TrustedSet, path: str) -> dict[str, int]:
        """What else there is of a version; nothing, where its head is missing."""
        try:
            target = trusted.catalog()[path]
            bundle = await asyncio.to_thread(opened, trusted, target, self._depot)
        except UntrustedError as error:
            self._say(path, error)
            return {}
        return {one.digest: one.size_bytes for one in bundle.manifest.variants}

    async def _same(self, kept: frozenset[str], digest: str, size_bytes: int) -> bool:
        """Return whether the bucket holds it now."""
        here, there = self._depot.has(digest), digest in kept and digest not in self._bad
        try:
            if here and not there:
                await self._put(digest)
            elif there and not here:
                await self._restore(digest, size_bytes)
        except UnreachableError:
            raise
        except MeshError as error:
            self._say(digest, error)
            return False
        return here or there

    def _short(self, missing: set[str]) -> None:
        """Say how much is kept once only, when that changes."""
        said = ", ".join(sorted(missing))
        if said != self._missing:
            self._missing = said
            log.warning("not kept a second time: %s", said or "nothing any more")

    async def _put(self, digest: str) -> None:
        path = self._depot.path(digest)
        with path.open("rb") as file:
            found = await asyncio.to_thread(hashlib.file_digest, file, "sha256")
            # 1. Nothing is kept under a name that it does not hash to.
            if digest_key(found.hexdigest()) != digest:
                raise UntrustedError(f"{path} has changed", "publish that bundle again")
            file.seek(0)
            await self._objects.put(digest, file)
        self._bad.discard(digest)

    async def _restore(self, digest: str, size_bytes: int) -> None:
        """Stream it to its file, hashed on the way; nothing is left of what turns out wrong."""
        arrival = await asyncio.to_thread(self._depot.begin, digest, 0)
        try:
            async with aclosing(self._objects.chunks(digest, size_bytes)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(arrival.take, chunk)
            await asyncio.to_thread(arrival.finish)
        except (UntrustedError, UnknownError) as error:
            arrival.drop()
            self._bad.add(digest)
            self._audit.record("trust-refused", what=digest, reason=error.reason, error=error.error)
            raise
        log.warning("%s was lost in %s, and is restored", digest, self._store.folder)

    def _say(self, what: str, error: MeshError | OSError) -> None:
        """Once: it is tried again every few seconds."""
        if self._said.get(what) != str(error):
            self._said[what] = str(error)
            log.warning("%s: %s", what, error)
