"""The desired state that a site goes by: a mirror of each bucket, and the buckets to write to.

The topmost site makes the buckets where they are missing. What stands in them is others' business.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from edge_agent.background import beside
from edge_agent.bus.kv import HISTORY_LIMIT, Bucket, Buckets, Entry
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.clock import Clock
from middle_tier import mirror
from middle_tier.mirror import Mirror
from protocol.errors import ConflictError, MeshError

log = logging.getLogger(__name__)

BUCKETS: Mapping[str, int] = {"policy": HISTORY_LIMIT, "tenants": 8, "catalog": 1}
"""Those that every gate follows, and how many revisions of a key each keeps."""
NO_MORE: Mapping[str, int] = MappingProxyType({})
RETRY_S = 1.0


class Desired:
    """What is wanted of this site, by bucket."""

    def __init__(self, buckets: Buckets, mirrors: Mapping[str, Mirror]) -> None:
        self._buckets = buckets
        self._mirrors = mirrors
        self.whole = asyncio.Event()
        """At the top: set when every bucket is there, with all that was known of it last."""

    def mirror(self, name: str) -> Mirror:
        """What is known of a bucket, cut off or not."""
        return self._mirrors[name]

    def bucket(self, name: str) -> Bucket:
        """The bucket itself: to write to, and for its history. Raises when it is cut off."""
        return self._buckets.at(name)


@asynccontextmanager
async def following(
    buckets: Buckets, folder: Path, clock: Clock, *, top: bool, more: Mapping[str, int] = NO_MORE
) -> AsyncIterator[Desired]:
    """Follow every bucket until the block ends; `top`: make those that are missing.

    `more`: buckets that this gate follows besides.
    """
    histories = {**BUCKETS, **more}
    paths = {name: folder / f"{name}.json" for name in histories}
    kept = {name: mirror.load(path) for name, path in paths.items()}
    async with AsyncExitStack() as stack:
        if isinstance(buckets, MemoryBuckets):
            await _restore(buckets, paths, histories)
        mirrors = {
            name: await stack.enter_async_context(mirror.following(buckets.at(name), path))
            for name, path in paths.items()
        }
        wanted = Desired(buckets, mirrors)
        if top:
            making = _make(buckets, histories, kept, wanted.whole, clock=clock)
            await stack.enter_async_context(beside(making, "desired-buckets"))
        yield wanted


async def _restore(
    buckets: MemoryBuckets, paths: Mapping[str, Path], histories: Mapping[str, int]
) -> None:
    """A site of one has no other place to keep its desired state than the mirrors' files."""
    for name, path in paths.items():
        bucket = await buckets.bucket(name, history=histories[name])
        for entry in mirror.load(path):
            await bucket.put(entry.key, entry.value or b"")


async def _make(
    buckets: Buckets, histories: Mapping[str, int], kept: Mapping[str, Sequence[Entry]],
    whole: asyncio.Event, *, clock: Clock,
) -> None:  # fmt: skip
    """Make each bucket as soon as it can be: the server may come later than we."""
    missing = dict(histories)
    while missing:
        try:
            for name, history in tuple(missing.items()):
                await _put_back(await buckets.bucket(name, history=history), kept[name])
                del missing[name]
        except MeshError as error:
            log.debug("not made yet: %s: %s", sorted(missing), error)
            await clock.sleep(RETRY_S)
    whole.set()


async def _put_back(bucket: Bucket, kept: Sequence[Entry]) -> None:
    """Put in what was known of a bucket that its server has lost, in the order of old.

    What was deleted since has a history, and stays deleted.
    """
    there = await bucket.keys()
    for entry in sorted(kept, key=lambda one: one.revision):
        if entry.key in there or entry.value is None or await bucket.history(entry.key):
            continue
        with suppress(ConflictError):  # somebody was faster
            await bucket.put(entry.key, entry.value, expected=0)
            log.warning("%s was lost, and is put back as it was known last", entry.key)
