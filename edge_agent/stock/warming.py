"""What is loaded, measured and evicted, and when. How that is done is loader's, on its thread.

Everything here runs on the event loop, in callbacks; nothing waits.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

from edge_agent.clock import Clock
from edge_agent.queue.forecast import Forecast
from edge_agent.runtimes.base import Runtime
from edge_agent.stock.holdings import Holding, Holdings
from edge_agent.stock.loader import Loader, Unloadable, Warm
from protocol.types import Profile

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""A variant that did not load is not tried again before; one whose bytes are wrong never is."""

IN_PASSING = 0.2
"""Share of the time for measuring that is taken when asks are coming in already."""

ResultT = TypeVar("ResultT")

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
        self._measure_s = measure_s
        self._loads_end = 0.0
        self._unmeasured: dict[str, Warm] = {}
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
        now = self._clock.now()
        self._loads_end = max(now, self._loads_end) + holding.profile.load_ms / 1e3
        holding.state, holding.ready_at = "loading", self._loads_end
        self._loader.load(holding, self._cooled(evicted), _on_loop(self._loaded, holding))
        self.changed()
        return True

    def cold_ms(self, holding: Holding, now: float) -> float:
        """What is left of making it warm, one load after the other."""
        before_s = max(0.0, self._loads_end - now) if holding.state == "cold" else 0.0
        return before_s * 1e3 + holding.cold_ms(now)

    def load(self, holding: Holding, then: Then) -> None:
        """As `want`, and say how it ended; at once when it is warm already."""
        if holding.free:
            then("")
        elif not self.want(holding):
            then("it does not fit beside what is in use")
        else:
            self._thens.setdefault(holding.id, []).append(then)

    def evict(self, holding: Holding) -> str:
        """Give back its memory, or say why not."""
        if holding.state == "cold":
            return ""
        if not holding.free or holding.in_use:
            return "it is in use"
        self._loader.dispose(self._cooled([holding]))
        self.changed()
        return ""

    def quiet(self, holding: Holding) -> None:
        """Nothing waits for it now: the moment for measuring what was not."""
        warm = self._unmeasured.pop(holding.id, None)
        if warm is not None:
            self._measure(holding, warm, IN_PASSING * self._measure_s)

    async def close(self) -> None:
        """Give back everything; the caller has seen to it that nothing runs."""
        self._measure_s = 0.0
        self._unmeasured.clear()
        await self._loader.finished()
        self._loader.dispose(self._cooled(self._holdings.resident()))
        await self._loader.close()

    def _cooled(self, holdings: Sequence[Holding]) -> list[Runtime]:
        """Make them cold; return the runtimes to close."""
        runtimes = [holding.runtime for holding in holdings if holding.runtime is not None]
        for holding in holdings:
            log.info("%s is evicted", holding.id)
            holding.state, holding.runtime = "cold", None
            self._unmeasured.pop(holding.id, None)
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
        if holding.profile.measured or self._measure_s <= 0:
            self._ready(holding)
        elif holding.in_use:
            self._unmeasured[holding.id] = warm
            self._ready(holding)
        else:
            self._measure(holding, warm, self._measure_s)

    def _is_unloadable(self, holding: Holding, result: Unloadable) -> None:
        holding.state, holding.fault = "cold", result.detail
        holding.retry_at = inf if result.for_good else self._clock.now() + RETRY_S
        self.revision += 1
        if result.for_good:
            self.refused(holding, result.detail)
        self.failed(holding, result.detail)
        self._tell(holding, result.detail)

    def _measure(self, holding: Holding, warm: Warm, budget_s: float) -> None:
        holding.busy = holding.measuring = True
        holding.ready_at = self._clock.now() + budget_s
        self._loader.measure(holding, warm, budget_s, _on_loop(self._measured, holding))

    def _measured(self, holding: Holding, profile: Profile | None) -> None:
        holding.busy = holding.measuring = False
        if profile is not None:
            holding.forecast = Forecast(profile)
            self.revision += 1
        self._ready(holding)
        self.changed()

    def _ready(self, holding: Holding) -> None:
        self.woken(holding)
        self._tell(holding, "")

    def _tell(self, holding: Holding, fault: str) -> None:
        for then in self._thens.pop(holding.id, ()):
            then(fault)


def _on_loop(
    act: Callable[[Holding, ResultT], None], holding: Holding
) -> Callable[[ResultT], None]:
    """Bring a result from the loader's thread to the event loop."""
    loop = asyncio.get_running_loop()

    def bring(result: ResultT) -> None:
        loop.call_soon_threadsafe(act, holding, result)

    return bring


def _ignored(*_: object) -> None:
    """Nobody listens yet."""
