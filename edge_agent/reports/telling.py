"""A journal's reports, told to the cloud one after the other: through cuts and restarts, once."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.background import beside
from edge_agent.bus.streams import Streams
from edge_agent.clock import Clock
from edge_agent.reports.journal import Journal
from edge_agent.reports.report import EVENT
from protocol.errors import UnreachableError
from protocol.subjects import EventSubject

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Between two looks, each of which reads a number, at what waits."""
MAX_RETRY_S = 15.0
"""Longest time between two tries while nobody takes anything."""
FILE = "refused.db"


async def tell(journal: Journal, streams: Streams, clock: Clock) -> None:
    """Tell what there is, for ever."""
    pause = LOOK_S
    while True:
        try:
            while item := await asyncio.to_thread(journal.next):
                await streams.put(item.subject, item.data, item.id)
                await asyncio.to_thread(journal.taken, item.id)
                pause = LOOK_S
        except UnreachableError as error:
            log.debug("a refusal waits for the cloud: %s", error)
            pause = min(MAX_RETRY_S, 2 * pause)
        except sqlite3.Error as error:  # a full disk must not end a node
            log.warning("what was refused is not told: %s", error)
            pause = MAX_RETRY_S
        await clock.sleep(pause)


@asynccontextmanager
async def telling(
    folder: Path, speaker: tuple[str, str], streams: Streams, clock: Clock
) -> AsyncIterator[Journal]:
    """Yield the journal of a node (`speaker`: its site and name); tell it until the block ends."""
    journal = Journal(folder / FILE, str(EventSubject(*speaker, EVENT)), clock)
    try:
        async with beside(tell(journal, streams, clock), "tell refusals"):
            yield journal
    finally:
        journal.close()
