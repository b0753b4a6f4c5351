"""Writing to nats-py's socket in the turn of the publication. All else stays nats-py's business.

nats-py's `publish` hands a command to a task, and that the socket to the loop: two turns, in which
whoever waits at the other end has nothing to do. There is no public way to its socket: this is the
one place that reaches for it, and its tests say when nats-py has changed.
"""

import asyncio

from edge_agent.bus.absent import absent
from protocol.errors import UnreachableError

with absent("aiohttp"):  # nats-py would take it for WebSockets, which nothing here uses
    from nats.aio.client import Client
    from nats.aio.transport import TcpTransport

MAX_UNSENT_BYTES = 64 << 20
"""What may wait for a server that does not read. Beyond it the server counts as out of reach."""


class Direct:
    """The mutable state is the socket that was prepared last: each connection has a new one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prepared: asyncio.WriteTransport | None = None

    def publish(self, subject: str, data: bytes, reply: str) -> None:
        """Write it now. Raises `UnreachableError` when the socket takes no more."""
        socket = self._socket()
        if socket is None or socket.is_closing():
            raise UnreachableError("the NATS server is not connected", "it is tried again for ever")
        if socket.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise UnreachableError("the NATS server does not read", "look after that server")
        head = (
            f"PUB {subject} {reply} {len(data)}\r\n" if reply else f"PUB {subject} {len(data)}\r\n"
        )
        socket.writelines((head.encode(), data, b"\r\n"))

    def _socket(self) -> asyncio.WriteTransport | None:
        carrier = self._client._transport  # noqa: SLF001  # see the module's docstring
        if not isinstance(carrier, TcpTransport) or carrier._io_writer is None:  # noqa: SLF001
            return None
        socket: asyncio.WriteTransport = carrier._io_writer.transport  # noqa: SLF001
        if socket is not self._prepared:
            socket.set_write_buffer_limits(0)  # older uvloop writes at once only what is above it
            self._prepared = socket
        return socket
