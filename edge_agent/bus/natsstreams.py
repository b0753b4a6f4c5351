"""Streams in JetStream, through nats-py: work queues, which a message leaves once dealt with."""

import logging

from edge_agent.bus.absent import absent
from edge_agent.bus.streams import Deal, Most
from edge_agent.clock import Clock, SystemClock, heed
from protocol.errors import UnreachableError

with absent("aiohttp"):  # see bus.nats
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import api
    from nats.js import errors as js_errors
    from nats.js.client import JetStreamContext

log = logging.getLogger(__name__)

TIMEOUT_S = 3.0
BATCH = 64
RETRY_S = 1.0
MAX_BYTES = 256 << 20
"""Full, it takes no more: then senders keep what they have."""
TAKER = "taker"
_FOREIGN = (errors.Error, js_errors.Error, OSError, TimeoutError)


class NatsStreams:
    """Those of one JetStream domain; None: the server's own."""

    def __init__(
        self, client: Client, domain: str | None = None, *, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._domain = domain
        self._clock = clock or SystemClock()

    async def put(self, subject: str, data: bytes, message_id: str) -> None:
        if not self._client.is_connected:
            raise UnreachableError("the NATS server is not connected")
        headers = {"Nats-Msg-Id": message_id}
        try:
            await self._js().publish(subject, data, timeout=TIMEOUT_S, headers=headers)
        except _FOREIGN as error:
            raise UnreachableError(f"not kept on {subject}: {type(error).__name__}") from error

    async def take(
        self, stream: str, subject: str, deal: Deal, *, most: Most | None = None
    ) -> None:
        while True:
            try:
                await self._taking(subject, _config(stream, subject, most), deal)
            except _FOREIGN as error:
                log.debug("the stream %s: %s", stream, error)
            await self._clock.sleep(RETRY_S)

    async def _taking(self, subject: str, config: api.StreamConfig, deal: Deal) -> None:
        """Take until something fails."""
        js = self._js()
        await js.add_stream(config)  # one that is there as it is to be is no error
        taker = await js.pull_subscribe(subject, TAKER, config.name)
        try:
            while True:
                heed()
                for message in await _some(taker):
                    await deal(message.subject, message.data)
                    await message.ack_sync(timeout=TIMEOUT_S)
        finally:
            await taker.unsubscribe()

    def _js(self) -> JetStreamContext:
        return self._client.jetstream(domain=self._domain, timeout=TIMEOUT_S)


async def _some(taker: JetStreamContext.PullSubscription) -> list[Msg]:
    """Those that there are; none when none came for a while."""
    try:
        return await taker.fetch(BATCH, timeout=TIMEOUT_S)
    except errors.TimeoutError:
        return []


def _config(stream: str, subject: str, most: Most | None) -> api.StreamConfig:
    config = api.StreamConfig(
        name=stream, subjects=[subject], retention=api.RetentionPolicy.WORK_QUEUE,
        max_bytes=MAX_BYTES, discard=api.DiscardPolicy.NEW, duplicate_window=120,
    )  # fmt: skip
    if most is not None:
        config.max_msgs_per_subject, config.max_msg_size = most
        config.discard_new_per_subject = True
    return config
