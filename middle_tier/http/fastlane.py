"""The short way in for plain inference requests: an asyncio protocol before aiohttp's.

At the boundary between two requests it looks at the bytes. A plain ``POST /v2/models/.../infer``
with a Content-Length is answered here; for anything else the connection is handed over to aiohttp's
own protocol, for good, with the bytes that were read. What a request means is in `inference`.

Copies: a body that arrives in one read is a view of that read. One that takes several reads is
gathered once. A response is written in one call, from the buffers that the router gave.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from msgspec.structs import replace

from edge_agent.clock import Clock
from middle_tier.http import oip
from middle_tier.http.heads import MAX_HEAD_BYTES, PREFIX, Head, Heads, response_head
from middle_tier.http.inference import Inference
from middle_tier.http.oip import Response
from middle_tier.http.pending import Pending  # noqa: TC001  # TYPE_CHECKING would hide cycles
from protocol.errors import BadRequestError

MAX_BODY_BYTES = 64 << 20
JOIN_BYTES = 64 << 10
"""Responses up to this are joined before they are written: cheaper than a vectored write."""

MAX_AHEAD_BYTES = 64 << 10
"""Bytes of further requests that a connection may send ahead while one is being answered."""


class Shared:
    """What all connections of one server share, and which are open."""

    def __init__(
        self, inference: Inference, clock: Clock, slow: Callable[[], asyncio.Protocol]
    ) -> None:
        self.inference = inference
        self.clock = clock
        self.slow = slow
        self.heads = Heads()
        self.open: set[Lane] = set()
        self.closing = False

    def left(self, lane: "Lane") -> None:
        """A connection is gone, or is aiohttp's now."""
        self.open.discard(lane)


class Lane(asyncio.Protocol):
    """One connection, one request at a time: further ones wait in the order in which they came."""

    def __init__(self, lanes: Shared) -> None:
        self._lanes = lanes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        """Read and not yet looked at: part of a head, or what was sent ahead."""
        self._head: Head | None = None
        self._body = bytearray()
        """With `_head`: a body of which more is to come."""
        self._asked: Pending | None = None
        self._keep_alive = True
        self._full = False
        """The client does not read: no further response until it does."""
        self._reading = True
        self._deaf = False
        """The last response is written; what still comes is dropped."""
        self._since = lanes.clock.now()
        """When the last request ended, or the first byte of the next one came."""

    def __repr__(self) -> str:
        state = "busy" if self._asked else "reading" if self._head or self._rest else "idle"
        return f"<Lane {state}>"

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's: what a stream server gives is known.
        self._transport = cast("asyncio.Transport", transport)
        # A response goes out when it is written, not at the end of the turn: what is counted and
        # learnt of it can wait, its client must not. (TLS would take 0 for always full.)
        if transport.get_extra_info("sslcontext") is None:
            self._transport.set_write_buffer_limits(0)
        self._lanes.open.add(self)

    # Without `eof_received` asyncio closes a connection whose client has closed its side: a client
    # that leaves looks just like one that has only said all, and its query must not run on.

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        self._lanes.left(self)
        self._transport = None
        self._rest, self._head, self._body = b"", None, bytearray()
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._asked is None:
            self._advance()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._head is not None:
            self._more_body(data)
            return
        if not self._rest:
            self._since = self._lanes.clock.now()
        self._rest = self._rest + data if self._rest else data
        if self._asked is None and not self._full:
            self._advance()
        elif len(self._rest) > MAX_AHEAD_BYTES:
            self._read(on=False)

    # From bytes to requests.

    def _advance(self) -> None:
        """Take requests from the bytes that are here until one has to be waited for."""
        while self._rest and self._asked is None and self._head is None and not self._full:
            if self._transport is None or self._deaf:
                self._rest = b""
                return
            end = self._rest.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
            if end < 0:
                self._incomplete(self._rest)
                return
            head = self._lanes.heads.read(self._rest[: end + 4])
            if head is None:
                self._hand_over(self._rest)
                return
            self._take(head, self._rest, end + 4)

    def _incomplete(self, data: bytes) -> None:
        """Wait for the rest of a head, if this can become one of ours."""
        if not data.startswith(PREFIX) and not PREFIX.startswith(data):
            self._hand_over(data)
        elif len(data) >= MAX_HEAD_BYTES:
            error = BadRequestError(
                "the request's headers are too large", f"send at most {MAX_HEAD_BYTES} bytes"
            )
            self._last(replace(oip.failure(error), status=431))

    def _take(self, head: Head, data: bytes, start: int) -> None:
        """Begin the request whose body begins at `start`; what comes after it has to wait."""
        end = start + head.length
        if head.length > MAX_BODY_BYTES:
            self._last(oip.failure(oip.too_large(head.length, MAX_BODY_BYTES)))
        elif end > len(data):
            self._rest = b""
            self._head = head
            self._body = bytearray(memoryview(data)[start:])
        else:
            self._rest = data[end:] if end < len(data) else b""
            self._ask(head, memoryview(data)[start:end])

    def _more_body(self, data: bytes) -> None:
        head = self._head
        assert head is not None  # noqa: S101  # else it is not called
        self._since = self._lanes.clock.now()
        missing = head.length - len(self._body)
        if len(data) < missing:
            self._body += data
            return
        self._body += memoryview(data)[:missing]
        body, self._body, self._head = self._body, bytearray(), None
        self._rest = data[missing:]
        self._ask(head, memoryview(body))
        self._advance()

    def _ask(self, head: Head, body: memoryview) -> None:
        self._keep_alive = head.keep_alive
        begun = self._lanes.inference.begin(head.call, body)
        if isinstance(begun, Response):
            self._respond(begun)
            return
        self._asked = begun
        begun.then(self._done)

    # From responses to bytes.

    def _done(self, response: Response | None) -> None:
        self._asked = None
        if self._transport is None:
            return
        if response is None:
            self._transport.abort()
            return
        self._respond(response)
        if not self._reading:
            self._read(on=True)
        if self._rest:  # in a turn of its own: what was answered is to be counted first
            self._loop.call_soon(self._advance)

    def _respond(self, response: Response) -> None:
        transport = self._transport
        assert transport is not None  # noqa: S101  # callers have looked
        self._since = self._lanes.clock.now()
        last = not self._keep_alive or self._lanes.closing
        size = sum(map(len, response.body))
        head = response_head(response, size, last=last)
        if size <= JOIN_BYTES:
            transport.write(b"".join((head, *response.body)))
        else:
            transport.writelines((head, *response.body))
        if last:
            self._deaf = True
            transport.close()

    def _last(self, response: Response) -> None:
        """Refuse a request that is not read to its end, and let the client find out.

        Closing with unread bytes would reset the connection and take the response along, so
        what comes is dropped until the client ends, or the sweep.
        """
        transport = self._transport
        assert transport is not None  # noqa: S101  # callers have looked
        self._deaf = True
        self._since = self._lanes.clock.now()
        size = sum(map(len, response.body))
        transport.write(b"".join((response_head(response, size, last=True), *response.body)))
        if transport.can_write_eof():
            transport.write_eof()

    def _hand_over(self, data: bytes) -> None:
        """Leave the connection to aiohttp, for good."""
        transport = self._transport
        assert transport is not None  # noqa: S101  # callers have looked
        self._lanes.left(self)
        self._transport = None
        transport.set_write_buffer_limits()
        slow = self._lanes.slow()
        transport.set_protocol(slow)
        slow.connection_made(transport)
        if data:
            slow.data_received(data)

    def _read(self, *, on: bool) -> None:
        self._reading = on
        if self._transport is not None:
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    # The end of it.

    def expire(self, now: float, *, idle_s: float, stall_s: float) -> None:
        """Close when nothing has moved for too long. A query's own deadline ends a query."""
        if self._transport is None or self._asked is not None:
            return
        stuck = self._deaf or self._full or self._head is not None or bool(self._rest)
        if now - self._since >= (stall_s if stuck else idle_s):
            self._transport.abort() if stuck else self._transport.close()

    def finish(self, since: float) -> None:
        """Close now when nothing has been asked since then, or is; else with the response."""
        idle = self._asked is None and self._head is None and not self._rest
        if self._transport is not None and idle and self._since <= since:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
