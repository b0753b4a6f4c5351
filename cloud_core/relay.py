"""A TCP relay that stands for a link: delay, bandwidth and cut can be set while it runs.

It shapes bytes and knows nothing of what they mean. `tiermesh up` puts one between two tiers so
that they differ honestly; tests use it through `relaying`. Its control over HTTP is relay_control.

Rules: order is kept in each direction; a slow reader slows the writer down; what was sent before an
end of stream still arrives; when one side is gone the other is closed, as soon as that news has
travelled the link.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from pydantic import BaseModel, ConfigDict, Field

BURST_S = 0.005
"""How much unused time of the link is kept: what a token bucket calls its depth."""
WINDOW_BYTES = 4 << 20
"""Most bytes under way per connection and direction; beyond it, reading stops."""


class Shape(BaseModel):
    """What the link is like."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    delay_ms: float = Field(0.0, ge=0, le=60_000)
    """Round trip that it adds: half of it each way."""
    bandwidth_mbps: float = Field(0.0, ge=0)
    """Megabits a second, each way, shared by all connections; 0 is unlimited."""
    cut: bool = False
    """Existing connections are dropped, new ones refused."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a TCP server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def entered(free_at: float, now: float, size: int, mbps: float) -> float:
    """Pure. When the last of `size` bytes has entered a link that is busy until `free_at`."""
    if mbps == 0:
        return now
    return max(free_at, now - BURST_S) + size / (mbps * 125_000.0)


class Lane:
    """One direction of the link, shared by its connections: what bandwidth is counted on."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def due(self, shape: Shape, now: float, size: int) -> float:
        """Return when `size` bytes handed over now arrive at the far end."""
        self._free_at = entered(self._free_at, now, size, shape.bandwidth_mbps)
        return max(now, self._free_at) + shape.delay_ms / 2000.0


class Relay:
    """The link's state. Made by `relaying`."""

    def __init__(self, name: str, target: Endpoint, shape: Shape) -> None:
        self.name = name
        self.target = target
        self.shape = shape
        self.address = Endpoint("127.0.0.1", 0)
        self.forth, self.back = Lane(), Lane()
        self.ends: set[End] = set()

    def __repr__(self) -> str:
        shape = f"{self.shape.delay_ms:g} ms | {self.shape.bandwidth_mbps:g} Mbit/s"
        cut = " | cut" if self.shape.cut else ""
        return f"<Relay {self.name} | {shape}{cut} | {len(self.ends) // 2} connections>"

    def reshape(self, shape: Shape) -> None:
        """Change the link; what is under way arrives as it would have, unless it is cut."""
        self.shape = shape
        if shape.cut:
            for end in tuple(self.ends):
                end.transport.abort()


class End(asyncio.Protocol):
    """One side of a connection: what it receives, the other side is given when it is due."""

    transport: asyncio.Transport

    def __init__(self, relay: Relay, lane: Lane) -> None:
        self.far: End | None = None
        self._relay = relay
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._way: deque[tuple[float, bytes]] = deque()
        """From here to the far end; no bytes are the end of the stream."""
        self._way_bytes = 0
        self._clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._relay.ends.add(self)

    def data_received(self, data: bytes) -> None:
        self._send_off(data)
        self._pace()

    def eof_received(self) -> bool:
        self._send_off(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._relay.ends.discard(self)
        self._send_off(b"")

    def pause_writing(self) -> None:
        if self.far:
            self.far.clog(clogged=True)

    def resume_writing(self) -> None:
        if self.far:
            self.far.clog(clogged=False)

    def clog(self, *, clogged: bool) -> None:
        """The far end cannot (or can again) take what is delivered to it."""
        self._clogged = clogged
        self._pace()

    def _send_off(self, data: bytes) -> None:
        now = self._loop.time()
        due = self._lane.due(self._relay.shape, now, len(data))
        if self._way:
            due = max(due, self._way[-1][0])
        self._way.append((due, data))
        self._way_bytes += len(data)
        self._loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        """Hand over the oldest bytes: one call was scheduled for each, and this one is due."""
        data = self._way.popleft()[1]
        self._way_bytes -= len(data)
        if self.far is None or self.far.transport.is_closing():
            return
        if data:
            self.far.transport.write(data)
            self._pace()
        else:
            self.far.transport.close()
            self.transport.close()

    def _pace(self) -> None:
        if self.transport.is_closing():
            return
        if self._clogged or self._way_bytes > WINDOW_BYTES:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


async def join(relay: Relay, near: End) -> None:
    """Connect the far side, then let the near one be read."""
    far = End(relay, relay.back)
    target = relay.target
    try:
        await asyncio.get_running_loop().create_connection(lambda: far, target.host, target.port)
    except OSError:
        near.transport.abort()
        return
    if relay.shape.cut or near.transport.is_closing():
        far.transport.abort()
        near.transport.abort()
        return
    near.far, far.far = far, near
    near.transport.resume_reading()


class Door(End):
    """The near side: refuses while the link is cut; not read before the far side is connected."""

    def __init__(self, relay: Relay, tasks: set[asyncio.Task[None]]) -> None:
        super().__init__(relay, relay.forth)
        self._tasks = tasks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._relay.shape.cut:
            self.transport.abort()
            return
        self.transport.pause_reading()
        task = asyncio.ensure_future(join(self._relay, self))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def relaying(
    name: str, target: Endpoint, *, port: int = 0, shape: Shape | None = None
) -> AsyncIterator[Relay]:
    """Relay 127.0.0.1:`port` (0: any free one) to `target` until the block ends."""
    relay = Relay(name, target, shape or Shape())
    joining: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Door, relay, joining), "127.0.0.1", port)
    relay.address = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield relay
    finally:
        server.close()
        for task in joining:
            task.cancel()
        await asyncio.gather(*joining, return_exceptions=True)
        await server.wait_closed()
        while relay.ends:
            for end in tuple(relay.ends):
                end.transport.abort()
            await asyncio.sleep(0)
