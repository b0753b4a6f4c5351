"""Tokens that a gate did not believe, counted, and told to the audit log by reason and tenant.

A count is told when its reason comes up, and then once a minute at most: whoever tries a million
tokens writes a line a minute. A token itself is never told, nor who it claims to be of unproved.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from edge_agent.audit import Audit
from edge_agent.background import beside
from edge_agent.clock import Clock

log = logging.getLogger(__name__)

LOOK_S = 1.0
TELL_S = 60.0
"""Between two entries of one reason and tenant. Lower says sooner that it goes on."""
MAX_REASONS = 64
"""Reasons and tenants told apart; what there is beyond counts together."""
OTHER = "for another reason"


class Counted(NamedTuple):
    """How often, why, and whose tokens; no tenant where nothing proves whose they were."""

    reason: str
    tenant: str
    times: int


class Refused:
    """The mutable state is what was counted and not told, and when each was told last."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], float] = {}

    def __repr__(self) -> str:
        return f"<Refused {sum(self._counts.values())} to tell>"

    def add(self, reason: str, tenant: str = "") -> None:
        """One more."""
        key = (reason, tenant)
        if key not in self._counts and len(self._counts) >= MAX_REASONS:
            key = (OTHER, "")
        self._counts[key] = self._counts.get(key, 0) + 1

    def due(self, now: float) -> tuple[Counted, ...]:
        """What is to be told now; it counts as told."""
        self._told = {key: at for key, at in self._told.items() if now - at < TELL_S}
        keys = [key for key in self._counts if key not in self._told]
        return self._telling(keys[: MAX_REASONS - len(self._told)], now)

    def rest(self, now: float) -> tuple[Counted, ...]:
        """What was counted and not told: for the end."""
        return self._telling(list(self._counts), now)

    def _telling(self, keys: list[tuple[str, str]], now: float) -> tuple[Counted, ...]:
        self._told.update(dict.fromkeys(keys, now))
        return tuple(Counted(*key, self._counts.pop(key)) for key in keys)


@asynccontextmanager
async def recorded(
    refused: Refused, audit: Audit, clock: Clock, kind: str = "token-refused", what: str = "tokens"
) -> AsyncIterator[None]:
    """Record them until the block ends, and what is left then."""

    def record(all_of_them: tuple[Counted, ...]) -> None:
        for one in all_of_them:
            whose = f"{what} of {one.tenant}" if one.tenant else what
            said = {"what": whose, "reason": "unauthenticated", "error": one.reason}
            try:
                audit.record(kind, **said, count=one.times)
            except OSError as error:  # a full disk must not end a gate
                log.warning("refused %d %s: %s; not kept: %s", one.times, whose, one.reason, error)

    async def looking() -> None:
        while True:
            await clock.sleep(LOOK_S)
            if due := refused.due(clock.now()):
                await asyncio.to_thread(record, due)

    try:
        async with beside(looking(), "record what was refused"):
            yield
    finally:
        await asyncio.to_thread(record, refused.rest(clock.now()))
