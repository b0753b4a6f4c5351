"""Bundles kept up to date beside a node: looked after from its start until it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.background import beside
from edge_agent.bundles.store import Store
from edge_agent.bundles.updater import Updater
from edge_agent.clock import Clock, heed
from protocol.errors import BadRequestError, MeshError

log = logging.getLogger(__name__)

FIRST_S = 0.2
"""Before another try, while what is wanted is not all here: a mirror may be about to have it."""
GROWTH = 1.5

Changed = Callable[[Store], None]
"""Told, on the event loop, what is switched in now."""


def root_in(path: Path) -> bytes:
    """Return the root that a node was given. Raises `BadRequestError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadRequestError(
            f"{path}: cannot be read: {error.strerror}", "mend 'trust' in the configuration"
        ) from error


class Keeper:
    """Looks for newer bundles: every period, and when told to."""

    def __init__(self, updater: Updater, clock: Clock, *, period_s: float) -> None:
        self._updater = updater
        self._clock = clock
        self._period_s = period_s
        self._wanted = asyncio.Event()
        self.looked: Callable[[], None] = _nobody
        """Called after each look."""

    def look(self) -> None:
        """Look now."""
        self._wanted.set()

    @asynccontextmanager
    async def keeping(self, changed: Changed) -> AsyncIterator[None]:
        """Look after them until the block ends."""
        async with beside(self._keep(changed), "bundles"):
            yield

    async def _keep(self, changed: Changed) -> None:
        pause = FIRST_S
        while True:
            heed()
            self._wanted.clear()
            whole = await self._look(changed)
            pause = self._period_s if whole else min(self._period_s, pause * GROWTH)
            await self._rest(pause)

    async def _look(self, changed: Changed) -> bool:
        """Whether all that is wanted is here."""
        try:
            outcome = await self._updater.update()
        except MeshError as error:
            log.debug("no newer bundles: %s", error)
            return False
        except OSError as error:  # a full disk: what is installed goes on
            log.warning("bundles are not updated: %s", error)
            return False
        self.looked()
        if outcome.changed:
            changed(await asyncio.to_thread(self._updater.store))
        return outcome.whole

    async def _rest(self, seconds: float) -> None:
        """Until so much time has passed, or a look is wanted."""
        async with asyncio.TaskGroup() as tasks:
            either = (
                tasks.create_task(self._clock.sleep(seconds)),
                tasks.create_task(_until(self._wanted)),
            )
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for task in either:
                task.cancel()


def _nobody() -> None:
    """Nobody wants to know."""


async def _until(event: asyncio.Event) -> None:
    await event.wait()
