"""The bus over NATS: nats-py behind the interface of base. Reconnects for ever.

Never subscribe ``>``: it would take the place of "nobody listens".
"""

import asyncio
import logging
from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from edge_agent.bus.absent import absent
from edge_agent.bus.base import Delivery, Handler
from edge_agent.bus.direct import Direct
from edge_agent.bus.kv import Buckets
from edge_agent.bus.natskv import NatsBuckets
from edge_agent.bus.natsobjects import NatsObjects
from edge_agent.bus.natsstreams import NatsStreams
from edge_agent.bus.parcels import TALK, Parcels
from edge_agent.bus.persistent import RECONNECT_WAIT_S, Persistent, signed_in
from edge_agent.bus.requests import Requests
from edge_agent.bus.streams import Streams
from edge_agent.identity.passport import Passport
from protocol.codec import MAX_FRAME_BYTES, Frame, decode, encode
from protocol.errors import DecodeError, TooLargeError, UnreachableError
from protocol.parcels import MAX_WHOLE_BYTES, aged

with absent("aiohttp"):  # nats-py would take it for WebSockets, which nothing here uses
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg

_log = logging.getLogger(__name__)

PING_INTERVAL_S = 10
"""nats-py's own 120 s would take four minutes to notice a silent cut."""
FLUSH_TIMEOUT_S = 10
_NO_RESPONDERS = "503"
_FOREIGN = (errors.Error, OSError, TimeoutError)


class NatsBus:
    """One connection. What is published is written to its socket at once."""

    def __init__(self, client: Client) -> None:
        self.malformed = 0
        """Arrived and were not frames."""
        self._client = client
        self._requests = Requests(client.new_inbox())
        self._direct = Direct(client)
        loop = asyncio.get_running_loop()
        self._parcels = Parcels(self._publish, self._requests.inbox, loop)

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        return f"<NatsBus {state} | {self.malformed} malformed | {self._parcels!r}>"

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    def inbox(self) -> str:
        return self._client.new_inbox()

    def publish(self, subject: str, frame: Frame, reply: str = "") -> None:
        self._parcels.sending(frame)
        try:
            self._publish(subject, frame, reply)
        except TooLargeError:
            self._parcels.offer(subject, frame, reply, self._most)

    def _publish(self, subject: str, frame: Frame, reply: str) -> None:
        """As one message; raise `TooLargeError` when it does not fit."""
        if not self.connected:
            raise UnreachableError("the NATS server is not connected", "it is tried again for ever")
        self._direct.publish(subject, encode(frame, self._most), reply)

    @property
    def _most(self) -> int:
        """Bytes of one message."""
        return min(MAX_FRAME_BYTES, self._client.max_payload)

    def publish_bytes(self, subject: str, data: bytes) -> None:
        """Hand over what is no frame: a server's own subjects take other things."""
        if not self.connected:
            raise UnreachableError("the NATS server is not connected", "it is tried again for ever")
        self._direct.publish(subject, data, "")

    @asynccontextmanager
    async def subscribe(
        self, subject: str, handler: Handler, queue: str = ""
    ) -> AsyncIterator[None]:
        arrivals = _Arrivals(self, self._parcels, handler)
        subscription = await self._client.subscribe(subject, queue, future=arrivals)
        await self._in_force()
        try:
            yield
        finally:
            try:
                await subscription.drain()  # type: ignore[no-untyped-call]  # nats-py does not say
            except _FOREIGN as error:
                _log.debug("unsubscribed while not connected: %s", error)
            self._parcels.forget(arrivals.whole)

    async def request(self, subject: str, frame: Frame, timeout_s: float) -> Frame:
        return await self._requests.ask(self, subject, frame, timeout_s)

    def buckets(self, domain: str | None = None) -> Buckets:
        """Return the desired state that a JetStream domain keeps; None: the server's own."""
        return NatsBuckets(self._client, domain)

    def streams(self, domain: str | None = None) -> Streams:
        """Return the streams that a JetStream domain keeps; None: the server's own."""
        return NatsStreams(self._client, domain)

    def objects(self, bucket: str) -> NatsObjects:
        """Return a bucket of large objects that the server's own JetStream domain keeps."""
        return NatsObjects(self._client, bucket)

    async def rtt_s(self) -> float:
        if not self.connected:
            raise UnreachableError("the NATS server is not connected")
        try:
            return await self._client.rtt()
        except _FOREIGN as error:
            raise UnreachableError("the NATS server does not answer") from error

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Hear replies to requests until the block ends; then see that all has been sent."""
        try:
            async with self.subscribe(self._requests.pattern, self._requests.deliver):
                try:
                    yield
                finally:
                    await self._parcels.fetched()
        finally:
            self._parcels.close()
            await self._flush()

    async def _in_force(self) -> None:
        """Return when the server has taken the subscription.

        Twice, because nats-py writes a PING at once and a SUB in its flusher's next turn: the first
        PONG says that the SUB is written, the second that it is read.
        """
        for _ in range(2):
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self._client.flush(FLUSH_TIMEOUT_S)
        except _FOREIGN as error:
            _log.debug("not flushed: %s", error)


class _Arrivals(Future[Msg]):
    """Where nats-py puts the messages of one subscription, as it would a single reply: at once.

    Its own ways (a callback or an iterator) go through a queue and a task for every message, which
    costs more than the rest of its work; order and at-most-once are the same.
    """

    def __init__(self, bus: NatsBus, parcels: Parcels, handler: Handler) -> None:
        super().__init__()
        self._bus = bus
        self._parcels = parcels
        self._handler = handler

    def set_result(self, msg: Msg) -> None:
        frame = None
        if msg.headers is None or msg.headers.get("Status") != _NO_RESPONDERS:
            frame = self._decoded(msg.subject, msg.data, MAX_FRAME_BYTES)
            if frame is None:
                return
        delivery = Delivery(msg.subject, frame, msg.reply)
        usual = frame is not None and not isinstance(frame.message, TALK)
        if usual or not self._parcels.take(delivery, self.whole):
            self._hand_over(delivery)

    def whole(self, offer: Delivery, data: bytearray, took_ms: float) -> None:
        """Take a frame that came in pieces."""
        frame = self._decoded(offer.subject, data, MAX_WHOLE_BYTES)
        if frame is not None:
            frame = frame._replace(message=aged(frame.message, took_ms))
            self._hand_over(offer._replace(frame=frame))

    def _decoded(self, subject: str, data: bytes | bytearray, limit: int) -> Frame | None:
        try:
            return decode(data, limit)
        except DecodeError as error:
            self._bus.malformed += 1
            _log.warning("dropped a frame on %s: %s", subject, error)
            return None

    def _hand_over(self, delivery: Delivery) -> None:
        try:
            self._handler(delivery)
        except Exception:  # noqa: BLE001  # a handler's fault must not end the connection's reader
            _log.exception("the handler of %s failed", delivery.subject)


@asynccontextmanager
async def connecting(
    url: str,
    *,
    name: str,
    passport: Passport | None = None,
    ca: Path | None = None,
    ping_s: float = PING_INTERVAL_S,
) -> AsyncIterator[NatsBus]:
    """Wait until there is a connection, keep it until the block ends, then send what is left.

    Raises `UnreachableError` for a URL that nats-py cannot read; a server that is not there yet is
    waited for. `passport` says who connects; `ca` is whom a server's certificate must be signed by.
    `ping_s`: between two pings, by which a dead connection is noticed.
    """
    client = Persistent()
    watch = _Watch(without_login(url))
    try:
        await client.connect(
            url,
            name=name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # annotated int, only slept
            ping_interval=ping_s,  # type: ignore[arg-type]  # annotated int, only slept
            flush_timeout=FLUSH_TIMEOUT_S,
            skip_subject_validation=True,  # ours are checked where they are built
            error_cb=watch.failed,
            disconnected_cb=watch.disconnected,
            reconnected_cb=watch.reconnected,
            **signed_in(passport, ca),
        )
        bus = NatsBus(client)
        async with bus.sending():
            yield bus
    except errors.Error as error:
        raise UnreachableError(f"NATS at {without_login(url)}: {error}") from error
    finally:
        with suppress(*_FOREIGN):  # a server that is gone cannot be said goodbye to
            await client.close()


def without_login(url: str) -> str:
    """The URL as it may stand in a log: without user and password."""
    scheme, slashes, rest = url.rpartition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


class _Watch:
    """Says what becomes of the connection: each new trouble once, and its end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._said = ""

    async def failed(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        level = logging.DEBUG if text == self._said else logging.WARNING
        self._said = text
        _log.log(level, "NATS at %s: %s", self._url, text)

    async def disconnected(self) -> None:
        _log.info("NATS at %s: disconnected", self._url)

    async def reconnected(self) -> None:
        self._said = ""
        _log.info("NATS at %s: connected again", self._url)
