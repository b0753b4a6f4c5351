"""Tells the site what this node can do: on change, and at least every `period_s`; then goodbye."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from edge_agent.background import beside
from edge_agent.bus.base import Bus
from edge_agent.capacity import State, latency
from edge_agent.clock import Clock
from protocol.adverts import Capacity
from protocol.codec import Frame
from protocol.errors import MeshError, UnreachableError
from protocol.types import Latency

log = logging.getLogger(__name__)

APART_S = 0.05
"""Changes closer together than this travel in one advert."""

JITTER = 0.1
"""Share of the period that is drawn, so that nodes started together do not advert together."""

LINK_S = 6.0
"""How long a round trip counts. A link's tail is about the worst of these, and after a stall that
keeps queries away which the node could answer in time again."""

MEASURED_PER_PERIOD = 4


class Advertiser:
    """Publishes adverts. Its state is whether something has changed, and the link's samples."""

    def __init__(self, bus: Bus, clock: Clock, *, subject: str, period_s: float, seed: str) -> None:
        self._bus = bus
        self._clock = clock
        self._subject = subject
        self._period_s = period_s
        self._random = Random(seed)  # noqa: S311  # jitter, not a secret
        self._samples: deque[tuple[float, float]] = deque()
        """When measured, and the milliseconds; never empty again once there is one."""
        self._news = asyncio.Event()

    @property
    def link(self) -> Latency:
        """Round trip to the site, as measured lately."""
        return latency([ms for _, ms in self._samples])

    def changed(self) -> None:
        """Say so soon."""
        self._news.set()

    @asynccontextmanager
    async def running(self, advert: Callable[[State | None], Capacity]) -> AsyncIterator[None]:
        """Advertise until the block ends, then say "leaving".

        `advert` makes one, of the state given or else the node's own.
        """
        try:
            async with (
                beside(self._adverts(advert), "adverts"),
                beside(self._measurements(), "link"),
            ):
                yield
        finally:
            self._publish(advert("leaving"))

    async def _adverts(self, advert: Callable[[State | None], Capacity]) -> None:
        while True:
            self._news.clear()
            self._publish(advert(None))
            await self._clock.sleep(APART_S)
            await self._news_or(self._wait_s() - APART_S)

    async def _news_or(self, seconds: float) -> None:
        """Return when something has changed, at the latest after `seconds`."""
        async with beside(self._wake_after(seconds), "advert-period"):
            await self._news.wait()

    async def _wake_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._news.set()

    async def _measurements(self) -> None:
        while True:
            try:
                self._measured(await self._bus.rtt_s() * 1e3)
            except UnreachableError as error:
                log.debug("link not measured: %s", error)
            await self._clock.sleep(self._wait_s() / MEASURED_PER_PERIOD)

    def _measured(self, ms: float) -> None:
        now = self._clock.now()
        if not self._samples:
            self.changed()  # the first advert has told of a link that takes no time
        self._samples.append((now, ms))
        while now - self._samples[0][0] > LINK_S:
            self._samples.popleft()

    def _wait_s(self) -> float:
        return self._period_s * (1.0 - JITTER * self._random.random())

    def _publish(self, advert: Capacity) -> None:
        try:
            self._bus.publish(self._subject, Frame(advert))
        except MeshError as error:
            log.debug("not advertised: %s", error)
