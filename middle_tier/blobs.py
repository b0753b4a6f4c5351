"""A site's mirror: bundle bytes and metadata, read in ranges by its nodes and by sites below it.

What it hands on it has verified itself, with the updater that every node runs; those who ask verify
again. So a mirror can withhold, and nothing worse.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent.bundles.sources import Piece, ranged
from edge_agent.bundles.updater import Updater
from edge_agent.bus.base import Bus, Delivery
from protocol.blobs import Part, Read
from protocol.codec import Frame
from protocol.errors import MeshError, UnknownError
from protocol.subjects import BlobSubject

log = logging.getLogger(__name__)

QUEUE = "blobs"
AT_A_TIME = 64
"""Reads under way; more are not answered, and asked again."""


class Mirror:
    """Answers reads. The mutable state is how many are under way."""

    def __init__(self, bus: Bus, updater: Updater) -> None:
        self._bus = bus
        self._updater = updater
        self._open = 0

    @asynccontextmanager
    async def serving(self, site: str) -> AsyncIterator[None]:
        """Answer until the block ends."""
        async with asyncio.TaskGroup() as tasks:

            def asked(delivery: Delivery) -> None:
                frame = delivery.frame
                if frame is None or not isinstance(frame.message, Read) or not delivery.reply:
                    return
                if self._open < AT_A_TIME:
                    self._open += 1
                    tasks.create_task(self._answer(frame.message, delivery.reply), name="blob")

            async with self._bus.subscribe(str(BlobSubject(site)), asked, QUEUE):
                yield

    async def _answer(self, read: Read, reply: str) -> None:
        try:
            piece = await self._piece(read)
        except UnknownError:
            piece = None
        finally:
            self._open -= 1
        frame = Frame(Part(), (b"",))
        if piece is not None:
            size = len(piece.data)
            part = Part(total_bytes=piece.total_bytes, offset=piece.offset, size_bytes=size)
            frame = Frame(part, (piece.data,))
        try:
            self._bus.publish(reply, frame)
        except MeshError as error:
            log.debug("a part is not sent: %s", error)

    async def _piece(self, read: Read) -> Piece | None:
        if read.name.startswith("sha256-"):
            path = self._updater.depot.path(read.name)
            return await asyncio.to_thread(ranged, path, read.offset, read.length)
        data = self._updater.metadata(read.name)
        if data is None:
            return None
        return Piece(len(data), read.offset, data[read.offset : read.offset + read.length])
