"""Counting what tenants use: once a second from a gate's tally to its ledger, and on to the cloud.

The hot path only adds to the tally's plain numbers. A crash loses at most what was counted since
the last second; a cut, or a restart meanwhile, nothing.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from edge_agent.audit import Audit
from edge_agent.background import beside
from edge_agent.bus.streams import Streams
from edge_agent.clock import Clock
from middle_tier.budgets import DAY_S
from middle_tier.http.tally import Tally
from middle_tier.usage.batch import Batch, Used, difference
from middle_tier.usage.ledger import Ledger
from protocol.errors import DecodeError, UnreachableError
from protocol.subjects import EventSubject

log = logging.getLogger(__name__)

COUNT_S = 1.0
RETRY_S = 1.0
STREAM, KIND, GATE = "USAGE", "usage", "gate"
ALL = EventSubject.pattern(kind=KIND)
"""What the stream holds."""


class Meter:
    """The mutable state is what was in the tally at the last look."""

    def __init__(self, tally: Tally, ledger: Ledger, clock: Clock, *, site: str) -> None:
        self.tally = tally
        self.ledger = ledger
        self.tells = False
        """Whether there is a cloud to tell."""
        self._clock = clock
        self._site = site
        self._seen: dict[str, Used] = {}
        self._looking = asyncio.Lock()
        self._counted = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Meter of {self._site} | {len(self._seen)} tenants>"

    @property
    def name(self) -> str:
        """Of this gate, among all gates."""
        return f"{self._site}/{self.ledger.gate}"

    @property
    def today(self) -> int:
        return int(self._clock.wall() // DAY_S)

    async def look(self) -> None:
        """Put into the ledger what was counted since the last time."""
        async with self._looking:
            now = self.tally.used()
            counted = difference(now, self._seen)
            if not counted:
                return
            subject = str(EventSubject(self._site, GATE, KIND)) if self.tells else None
            await asyncio.to_thread(self.ledger.count, self._site, self.today, counted, subject)
            self._seen = now
            self._counted.set()

    async def looking(self) -> None:
        """Look once a second, for ever. A full disk must not end a gate: it is tried again."""
        while True:
            await self._clock.sleep(COUNT_S)
            try:
                await self.look()
            except (OSError, sqlite3.Error) as error:
                log.warning("usage is not written down: %s", error)

    async def telling(self, streams: Streams) -> None:
        """Tell the cloud, for ever; what it does not take stays in the ledger."""
        while True:
            try:
                while items := await asyncio.to_thread(self.ledger.to_try):
                    for item in items:
                        await streams.put(item.subject, item.data, item.id)
                        await asyncio.to_thread(self.ledger.taken, item.id)
                await self._counted.wait()
                self._counted.clear()
            except UnreachableError as error:
                log.debug("usage waits: %s", error)
                await self._clock.sleep(RETRY_S)


async def collecting(meter: Meter, streams: Streams, audit: Audit) -> None:
    """At the cloud: add up what gates tell, for ever. What a gate tells twice counts once."""

    async def deal(subject: str, data: bytes) -> None:
        try:
            batch = _believed(subject, data)
        except (DecodeError, ValidationError) as error:
            log.warning("usage on %s is not believed: %.200s", subject, type(error).__name__)
            audit.record("usage-refused", subject=subject)
            return
        await asyncio.to_thread(meter.ledger.apply, batch)

    await streams.take(STREAM, ALL, deal)


def _believed(subject: str, data: bytes) -> Batch:
    """Servers hold a site to subjects of its own; so it may only tell of itself."""
    site, batch = EventSubject.parse(subject).site, Batch.model_validate_json(data)
    if batch.site != site:
        raise DecodeError(f"{site} tells of {batch.site}")
    return batch


@asynccontextmanager
async def metering(meter: Meter, streams: Streams | None) -> AsyncIterator[None]:
    """Count until the block ends, and what was counted till then."""
    meter.tells = streams is not None
    try:
        async with beside(meter.looking(), "count usage"):
            if streams is None:
                yield
            else:
                async with beside(meter.telling(streams), "tell usage"):
                    yield
    finally:
        await meter.look()
        meter.ledger.close()
