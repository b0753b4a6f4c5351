"""What is loaded and evicted, and when. How that is done is loader's, on its thread.

Everything here runs on the event loop, in callbacks; nothing waits.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from math import inf

from edge_agent.clock import Clock
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.threads import on_loop
from edge_agent.runtimes.base import Runtime
from edge_agent.stock.holdings import Holding, Holdings
from edge_agent.stock.loader import Loader, Unloadable, Warm
from edge_agent.stock.measuring import Measuring
from protocol.types import Profile

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""A variant that did not load is not tried again before; one whose bytes are wrong never is."""

Then = Callable[[str], None]
"""Told the fault, or an empty string when there was none."""


class Warming:
    """Makes holdings warm and cold. `woken` hears that one may run, `failed` that one cannot.

    `refused` hears of bytes that are not to be trusted.
    """

    def __init__(
        self, holdings: Holdings, loader: Loader, clock: Clock, *, measure_s: float
    ) -> None:
        self.revision = 0
        """Grows with what the node says of itself: profiles, and what it cannot run."""
        self.woken: Callable[[Holding], None] = _ignored
        self.failed: Callable[[Holding, str], None] = _ignored
        self.refused: Callable[[Holding, str], None] = _ignored
        self.changed: Callable[[], None] = _ignored
        self._holdings = holdings
        self._loader = loader
        self._clock = clock
        self.measuring = Measuring(
            holdings, loader, clock, measure_s=measure_s, stopped=self._measured
        )
        self._loads_end = 0.0
        self._thens: dict[str, list[Then]] = {}

    def prepare(self) -> None:
        """Import the runtimes of what this node holds, or the first ask would wait for that too."""
        self._loader.prepare({one.held.variant.format for one in self._holdings.all.values()})

    def aside(self, work: Callable[[], None]) -> None:
        """Do `work`, which raises nothing, on the loader's thread: a disk may be slow."""
        self._loader.aside(work)

    def want(self, holding: Holding) -> bool:
        """Load it unless that is under way; False when there is no room beside what is in use."""
        if holding.state != "cold":
            return True
        evicted = self._holdings.room_for(holding)
        if evicted is None:
            return False
        self.measuring.give_way()
        now = self._clock.now()
        self._loads_end = max(now, self._loads_end) + holding.profile.load_ms / 1e3
        holding.state, holding.ready_at = "loading", self._loads_end
        loaded = on_loop(partial(self._loaded, holding))
        self._loader.load(holding, self._cooled(evicted), loaded)
        self.changed()
        return True

    def cold_ms(self, holding: Holding, now: float) -> float:
        """What is left of making it warm, one load after the other."""
        before_s = max(0.0, self._loads_end - now) if holding.state == "cold" else 0.0
        return before_s * 1e3 + holding.cold_ms(now)

    def load(self, holding: Holding, then: Then) -> None:
        """As `want`, and say how it ended; at once when it is warm already.

        What is measured after its load is ready when that is over, or gives way to somebody.
        """
        if holding.state == "warm" and not holding.measuring:
            then("")
        elif not self.want(holding):
            then("it does not fit beside what is in use")
        else:
            self._thens.setdefault(holding.id, []).append(then)

    def evict(self, holding: Holding) -> str:
        """Give back its memory, or say why not."""
        if holding.state == "cold":
            return ""
        if not holding.idle:
            return "it is in use"
        self.measuring.give_way()
        self._loader.dispose(self._cooled([holding]))
        self.changed()
        return ""

    async def close(self) -> None:
        """Give back everything; the caller has seen to it that nothing runs."""
        self.measuring.end()
        await self._loader.finished()
        self._loader.dispose(self._cooled(self._holdings.resident()))
        await self._loader.close()

    def _cooled(self, holdings: Sequence[Holding]) -> list[Runtime]:
        """Make them cold; return the runtimes to close."""
        runtimes = [holding.runtime for holding in holdings if holding.runtime is not None]
        for holding in holdings:
            log.info("%s is evicted", holding.id)
            holding.state, holding.runtime = "cold", None
        return runtimes

    def _loaded(self, holding: Holding, result: Warm | Unloadable) -> None:
        match result:
            case Warm():
                self._is_warm(holding, result)
            case Unloadable():
                self._is_unloadable(holding, result)
        self.changed()

    def _is_warm(self, holding: Holding, warm: Warm) -> None:
        log.info("%s is warm after %.0f ms", holding.id, warm.load_ms)
        holding.runtime, holding.state, holding.fault = warm.runtime, "warm", ""
        holding.memory_bytes = warm.memory_bytes
        holding.used_at = self._clock.now()
        self.measuring.loaded(holding, warm)
        if not holding.measuring:
            self._ready(holding)

    def _is_unloadable(self, holding: Holding, result: Unloadable) -> None:
        holding.state, holding.fault = "cold", result.detail
        holding.retry_at = inf if result.for_good else self._clock.now() + RETRY_S
        self.revision += 1
        if result.for_good:
            self.refused(holding, result.detail)
        self.failed(holding, result.detail)
        self._tell(holding, result.detail)

    def _measured(self, holding: Holding, profile: Profile | None) -> None:
        if profile is not None:
            holding.forecast = Forecast(profile)
            self.revision += 1
        if holding.state != "loading":  # again: it was evicted meanwhile
            self._ready(holding)
        self.changed()

    def _ready(self, holding: Holding) -> None:
        self.woken(holding)
        self._tell(holding, "")

    def _tell(self, holding: Holding, fault: str) -> None:
        for then in self._thens.pop(holding.id, ()):
            then(fault)


def _ignored(*_: object) -> None:
    """Nobody listens yet."""
