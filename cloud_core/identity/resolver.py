"""Tells every NATS server, at the hub and at the sites, whose keys are refused from now on.

A server that is told disconnects them at once. It is said again and again, for the site that was
cut off meanwhile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from cloud_core.identity.roles import UPDATE
from edge_agent.background import beside
from edge_agent.bus.nats import NatsBus, connecting
from edge_agent.clock import Clock
from edge_agent.identity.passport import Passport
from protocol.errors import MeshError

log = logging.getLogger(__name__)

AGAIN_S = 10.0
"""How soon a site that comes back hears of it."""


class Resolver:
    """One connection of the system account. The mutable state is whether there is news."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._news = asyncio.Event()

    def tell(self) -> None:
        """Say it now."""
        self._news.set()

    @asynccontextmanager
    async def telling(
        self, url: str, credentials: Path, ca: Path | None, jwts: Callable[[], Iterable[str]]
    ) -> AsyncIterator[None]:
        """Tell servers until the block ends; `jwts` makes what they are to be told."""
        passport = Passport.read(credentials)
        async with (
            connecting(url, name="resolver", passport=passport, ca=ca) as bus,
            beside(self._repeat(), "resolver-again"),
            beside(self._say(bus, jwts), "resolver"),
        ):
            yield

    async def _say(self, bus: NatsBus, jwts: Callable[[], Iterable[str]]) -> None:
        while True:
            self._news.clear()
            try:
                for jwt in jwts():
                    bus.publish_bytes(UPDATE, jwt.encode())
            except MeshError as error:
                log.warning("servers are not told of revocations: %s", error)
            await self._news.wait()

    async def _repeat(self) -> None:
        while True:
            await self._clock.sleep(AGAIN_S)
            self.tell()
