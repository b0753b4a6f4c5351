"""When variants are measured: while nobody asks. What is run for it is measurement's.

Everything here runs on the event loop, in callbacks, beside one loop that looks whether it is time.
"""

from collections.abc import Callable
from functools import partial
from math import inf

from edge_agent.clock import Clock
from edge_agent.queue.threads import on_loop
from edge_agent.stock.holdings import Holding, Holdings
from edge_agent.stock.loader import Loader, Unmeasured, Warm
from edge_agent.stock.measurement import Measurement
from protocol.types import Profile

LOOK_S = 1.0
"""How often it is looked whether the node is idle."""

REST_S, REST_RUNS = 1.0, 10
"""It is idle when nobody has asked for so long, or for as long as ten runs take if that is less:
then the next ask hardly comes within the run that is begun, and who asks again at once is not
disturbed."""

Stopped = Callable[[Holding, Profile | None], None]
"""Told that a holding may run again, and its new profile where there is one."""


class Measuring:
    """Measures one holding after the other, as long as nobody asks and nothing is loaded.

    The mutable state is what is being measured, and when the last ask came. What is known of a
    holding so far is with the holding.
    """

    def __init__(
        self,
        holdings: Holdings,
        loader: Loader,
        clock: Clock,
        *,
        measure_s: float,
        stopped: Stopped,
    ) -> None:
        self._holdings = holdings
        self._loader = loader
        self._clock = clock
        self._measure_s = measure_s
        self._stopped = stopped
        self._under_way: Holding | None = None
        self._told = 0
        """Sizes of it that routers know of."""
        self._asked_at = -inf

    def __repr__(self) -> str:
        return f"<Measuring {self._under_way.id if self._under_way else 'nothing'}>"

    async def whenever_idle(self) -> None:
        """Go on with what is not known, for ever; return at once when nothing shall be measured."""
        while self._measure_s > 0:
            await self._clock.sleep(LOOK_S)
            self._go_on()

    def loaded(self, holding: Holding, warm: Warm) -> None:
        """Measure it now, if nobody asks, or else when that is so."""
        if self._measure_s <= 0:
            return
        if holding.measurement is not None:  # begun before it was evicted
            holding.measurement.load_ms = warm.load_ms
        elif not holding.profile.measured:
            holding.measurement = Measurement(
                holding.held.variant, self._measure_s,
                load_ms=warm.load_ms, memory_bytes=warm.memory_bytes,
            )  # fmt: skip
        self._go_on()

    def asked(self, now: float) -> None:
        """Somebody asks: at most the run under way is finished."""
        self._asked_at = now
        self.give_way()

    def give_way(self) -> None:
        """Something is to be done: at most the run under way is finished before."""
        if self._under_way is not None:
            self._loader.halt()

    def left_ms(self, now: float) -> float:
        """What is left of the run under way."""
        return self._under_way.measuring_ms(now) if self._under_way is not None else 0.0

    def end(self) -> None:
        """Measure nothing any more."""
        self._measure_s = 0.0
        self.give_way()

    def served(self, holding: Holding) -> None:
        """Nobody waits for it now: what nothing is known of yet is run, though others may come."""
        unknown = holding.measurement
        if unknown is not None and not unknown.sizes and not self._busy():
            self._begin(holding, unknown, self._clock.now())

    def _busy(self) -> bool:
        return self._under_way is not None or any(
            one.state == "loading" or one.in_use for one in self._holdings.resident()
        )

    def _go_on(self) -> None:
        if self._busy():
            return
        now = self._clock.now()
        for holding in self._holdings.resident():
            unknown = holding.measurement
            if unknown and now - self._asked_at >= min(REST_S, REST_RUNS * unknown.likely_s):
                self._begin(holding, unknown, now)
                return

    def _begin(self, holding: Holding, measurement: Measurement, now: float) -> None:
        if self._measure_s <= 0 or holding.runtime is None:
            return
        self._under_way, self._told = holding, measurement.sizes
        holding.busy = holding.measuring = True
        measurement.begun(now)
        unmeasured = Unmeasured(holding.held, holding.pin, holding.runtime, measurement)
        self._loader.measure(unmeasured, on_loop(partial(self._ended, holding, measurement)))

    def _ended(self, holding: Holding, begun: Measurement, known: Measurement | None) -> None:
        """It is whole, or has given way, or does not run; it may be evicted by now, too."""
        self._under_way = None
        holding.busy = holding.measuring = False
        profile = None
        if holding.measurement is begun:  # else it is another variant by now
            whole = known is None or known.rows is None
            if known is not None and (whole or known.sizes > self._told):
                profile = known.profile()
            if whole:
                holding.measurement = None
        self._stopped(holding, profile)
        self._go_on()
