"""All connections of one server: made, swept when they stand still, ended when the server stops.

What one connection does is in `fastlane`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from math import inf

from edge_agent.clock import Clock
from middle_tier.http.fastlane import Lane, Shared
from middle_tier.http.inference import Inference

_log = logging.getLogger(__name__)


class Lanes(Shared):
    """Makes the protocol for each connection."""

    def __init__(
        self, inference: Inference, clock: Clock, slow: Callable[[], asyncio.Protocol]
    ) -> None:
        super().__init__(inference, clock, slow)
        self._empty = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Lanes {len(self.open)} open{', closing' if self.closing else ''}>"

    def __call__(self) -> Lane:
        """Return the protocol for a new connection."""
        return Lane(self)

    def sweep(self, *, idle_s: float, stall_s: float) -> None:
        """Close connections that have been idle, or stuck inside a request, for too long."""
        now = self.clock.now()
        for lane in tuple(self.open):
            lane.expire(now, idle_s=idle_s, stall_s=stall_s)

    def left(self, lane: Lane) -> None:
        super().left(lane)
        if self.closing and not self.open:
            self._empty.set()

    async def close(self, *, grace_s: float, linger_s: float = 0.0) -> None:
        """Let requests in flight finish, for `grace_s` at most.

        A connection that was busy within `linger_s` may have the next request on its way: it stays
        so long, is answered, and told that this was the last. Others close at once.
        """
        self.closing = True
        now = self.clock.now()
        for seconds, idle_s in ((min(linger_s, grace_s), linger_s), (grace_s, 0.0)):
            for lane in tuple(self.open):
                lane.finish(now - idle_s)
            if await self._emptied(seconds):
                return
            now = inf
        _log.warning("cut off %s connections that did not finish", len(self.open))
        for lane in tuple(self.open):
            lane.abort()

    async def _emptied(self, seconds: float) -> bool:
        """Return whether all have gone, as soon as they have, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self.open:
                    await self._empty.wait()
        return not self.open
