"""A link that can be frozen: what was connected stays so at both ends, and nothing arrives.

As when a gateway on the way has forgotten a connection. What was sent meanwhile is held, and
arrives when the link thaws; connections that are made while it is frozen work.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

ADVERT = b"PUB tm.v1.ad."


class Link:
    """Forwards to a port. The mutable state is which connections there are."""

    def __init__(self, target: int) -> None:
        self.connections = 0
        """Made so far."""
        self.held = 0
        """Adverts that were sent, and have not arrived."""
        self.port = 0
        self._target = target
        self._passable: list[asyncio.Event] = []

    def freeze(self) -> None:
        for event in self._passable:
            event.clear()

    def thaw(self) -> None:
        for event in self._passable:
            event.set()

    async def accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        passable = asyncio.Event()
        passable.set()
        self._passable.append(passable)
        self.connections += 1
        far, there = await asyncio.open_connection("127.0.0.1", self._target)
        async with asyncio.TaskGroup() as both:
            for source, sink in ((near, there), (far, back)):
                sent: asyncio.Queue[bytes] = asyncio.Queue()
                both.create_task(self._take(source, sent, passable))
                both.create_task(_deliver(sent, sink, passable))

    async def _take(
        self, source: asyncio.StreamReader, sent: asyncio.Queue[bytes], passable: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if not passable.is_set():
                    self.held += data.count(ADVERT)
                sent.put_nowait(data)
        sent.put_nowait(b"")


async def _deliver(
    sent: asyncio.Queue[bytes], sink: asyncio.StreamWriter, passable: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await sent.get():
            await passable.wait()
            sink.write(data)
            await sink.drain()
        await passable.wait()
    sink.close()


@asynccontextmanager
async def freezable(target: int) -> AsyncIterator[Link]:
    """A link to this port, until the block ends."""
    link = Link(target)
    server = await asyncio.start_server(link.accept, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        server.close()
        link.thaw()
