"""The way to the parent site: what it costs in time, whether it is cut, and the site's summary up.

Queries go up through `pursuit`; here is only what keeps the way known.
"""

import logging
import random
from bisect import insort
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil

from edge_agent.admission import transfer_ms
from edge_agent.background import beside
from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from middle_tier.routing.allowance import Allowance
from middle_tier.scheduler.types import Demand
from protocol.adverts import SiteCapacity
from protocol.codec import Frame
from protocol.errors import MeshError, UnreachableError
from protocol.messages import Missed, Ping, Pong, Reach, Refusal
from protocol.subjects import RouteSubject, SummarySubject
from protocol.types import QUANTILES, Latency

log = logging.getLogger(__name__)

WINDOW = 10
"""Round trips remembered: ten seconds at one a second. The tail is about the worst of them: after a
spell of slowness it keeps queries away that would be in time again."""


BORNE, BORNE_AT_ONCE = 0.01, 8.0
"""Share of a site's queries, and so many at once, that may be missed without the parent hearing of
it: what an objective at the 99th percentile allows. Lower rents nodes for a crowd of a moment."""


class Parent:
    """What a site knows of its parent: the recent round trips, and whether there is a way.

    The mutable state is the samples and whether the last ping was answered.
    """

    def __init__(
        self,
        site: str,
        connected: Callable[[], bool],
        *,
        mbps: float = 1000.0,
        here: str | None = None,
    ) -> None:
        self.site = site
        self.here = here
        """The site that it is the parent of."""
        self.mbps = mbps
        self._connected = connected
        self._answering = True
        """Until shown otherwise: a query may be the first to try."""
        self.reach: tuple[Reach, ...] | None = None
        """What it could do, as it said with its last pong; None: it does not say."""
        self.borne = Allowance(share=BORNE, burst=BORNE_AT_ONCE, tokens=BORNE_AT_ONCE)
        """Misses that are no reason to make anything warm there."""
        self._missed: dict[tuple[str, float, float], Missed] = {}
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._sorted: list[float] = []

    def __repr__(self) -> str:
        state = "cut" if self.cut else "reachable"
        return f"<Parent {self.site} | {state} | {len(self._recent)} samples>"

    @property
    def cut(self) -> bool:
        return not (self._answering and self._connected())

    @property
    def measured(self) -> bool:
        return bool(self._recent)

    def answered(self, round_trip_ms: float) -> None:
        self._answering = True
        if len(self._recent) == WINDOW:
            self._sorted.remove(self._recent[0])
        self._recent.append(round_trip_ms)
        insort(self._sorted, round_trip_ms)

    def silent(self) -> None:
        """It is cut until a ping is answered; what the way took before says nothing any more."""
        self._answering = False
        self.reach = None
        self._recent.clear()
        self._sorted.clear()

    def at_ms(self, percentile: float) -> float:
        """The recent round trip at `percentile` (the smallest that enough samples are within)."""
        if not self._sorted:
            return 0.0
        return self._sorted[ceil(len(self._sorted) * percentile / 100.0) - 1]

    def away_ms(self, percentile: float, nbytes: int) -> float:
        """What going there and coming back takes, with `nbytes` both ways together."""
        return self.at_ms(percentile) + transfer_ms(nbytes, self.mbps)

    def refusal(self, demand: Demand, budget_ms: float) -> Refusal | None:
        """What it would say to a demand that has so much time left there; None: it may serve it.

        A refusal is noted, beyond what may be borne: the next ping tells it, so that it can make
        something warm.
        """
        want = demand.want
        if self.reach is None or want.variant or want.architecture:
            return None
        fastest: float | None = None
        best: float | None = None
        for line in self.reach:
            if line.task != want.task:
                continue
            ms = line.finish.at(want.percentile)
            if line.accuracy >= want.min_accuracy:
                if ms <= budget_ms:
                    return None
                fastest = ms if fastest is None else min(fastest, ms)
            elif ms <= budget_ms:
                best = line.accuracy if best is None else max(best, line.accuracy)
        self._note(demand, budget_ms)
        return Refusal(
            id="below", reason="no_candidate", finish_ms=fastest, best_accuracy=best,
            rejected={f"{self.site} has nothing in time that is accurate enough": 1},
        )  # fmt: skip

    def could(self, demand: Demand, budget_ms: float) -> bool:
        """Whether it would be in time if nobody waited there."""
        want = demand.want
        return any(
            line.task == want.task
            and line.accuracy >= want.min_accuracy
            and line.alone is not None
            and line.alone.at(want.percentile) <= budget_ms
            for line in self.reach or ()
        )

    def knows(self, task: str) -> bool:
        """Whether it has said that it could do something for a task."""
        return any(line.task == task for line in self.reach or ())

    def _note(self, demand: Demand, budget_ms: float) -> None:
        want = demand.want
        if self.borne.spend() or len(self._missed) >= MISSED:
            return
        left = want.but(latency_ms=max(budget_ms, 0.001))
        key = (want.task, want.min_accuracy, want.latency_ms)
        self._missed[key] = Missed(
            want=left, rows=demand.rows, in_bytes=demand.in_bytes, out_bytes=demand.out_bytes,
            tiers=demand.tiers,
        )  # fmt: skip

    def missed(self) -> tuple[Missed, ...]:
        """Take what was noted."""
        found = tuple(self._missed.values())
        self._missed.clear()
        return found

    @property
    def link(self) -> Latency:
        p50, p90, p95, p99, p999 = map(self.at_ms, QUANTILES)
        return Latency(ms=(p50, p90, p95, p99, p999), count=len(self._recent))


MISSED = 64
"""Kinds of miss that one ping tells of."""


@asynccontextmanager
async def uplinked(
    bus: Bus,
    clock: Clock,
    parent: Parent,
    *,
    summary: Callable[[], SiteCapacity],
    cut: Callable[[], None],
    period_s: float = 1.0,
) -> AsyncIterator[None]:
    """Measure the way up and send the site's summary each `period_s`, until the block ends.

    `cut` is called each time the way is found to be cut.
    """

    async def ping() -> None:
        while True:
            await _ping(bus, clock, parent, cut, timeout_s=max(1.0, parent.at_ms(99.0) / 250.0))
            await clock.sleep(period_s * random.uniform(0.9, 1.1))  # noqa: S311  # jitter

    async def tell() -> None:
        while True:
            # Not before the way is measured: a link of 0 ms would draw queries that it cannot keep.
            if parent.measured:
                _tell(bus, summary())
            await clock.sleep(period_s * random.uniform(0.9, 1.1))  # noqa: S311  # jitter

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(beside(ping(), "uplink-ping"))
        await stack.enter_async_context(beside(tell(), "uplink-summary"))
        yield
    _tell(bus, summary().model_copy(update={"nodes": {}, "offers": ()}))  # ask here no more


async def _ping(
    bus: Bus, clock: Clock, parent: Parent, cut: Callable[[], None], *, timeout_s: float
) -> None:
    start, was_cut = clock.now(), parent.cut
    ping = Ping(site=parent.here, missed=parent.missed())
    try:
        reply = await bus.request(str(RouteSubject(parent.site)), Frame(ping), timeout_s)
    except UnreachableError as error:
        parent.silent()
        if not was_cut:
            log.warning("the uplink to %s is cut: %s", parent.site, error)
        cut()
        return
    if not isinstance(reply.message, Pong):
        return
    if was_cut:
        log.info("the uplink to %s is back", parent.site)
    parent.answered((clock.now() - start) * 1000.0)
    parent.reach = reply.message.reach


def _tell(bus: Bus, summary: SiteCapacity) -> None:
    try:
        bus.publish(str(SummarySubject(summary.site)), Frame(summary))
    except MeshError as error:
        log.debug("the summary was not sent: %s", error)
