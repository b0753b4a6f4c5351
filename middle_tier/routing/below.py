"""What a router tells the sites below it of what it could do, and what they tell it they missed.

Both travel with the pings of `uplink`. Queries themselves come in through `routes`.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from middle_tier.scheduler.reach import reach
from middle_tier.scheduler.types import Candidate, Demand, Policy
from middle_tier.view import View
from protocol.messages import Missed, Reach

FRESH_S = 0.5
"""How long an answer to one site may be used again: sites have several routers, and all ping."""

MAX_TOLD = 1024
"""Sites whose answers are remembered: their names are their own word."""


class Now(Protocol):
    """As much of a clock as is needed here."""

    def now(self) -> float: ...


class Below:
    """The mutable state is what was told lately, by site."""

    def __init__(
        self, view: View, clock: Now, warm_up: Callable[[Demand], Candidate | None]
    ) -> None:
        self._view = view
        self._clock = clock
        self._warm_up = warm_up
        self._told: dict[str | None, tuple[float, tuple[Reach, ...]]] = {}

    def __repr__(self) -> str:
        return f"<Below {self._view.site} | {len(self._told)} sites told>"

    def reach(self, policy: Policy, site: str | None) -> tuple[Reach, ...]:
        """Return what could be done here for a query that comes from `site`."""
        now = self._clock.now()
        told = self._told.get(site)
        if told is not None and now - told[0] < FRESH_S:
            return told[1]
        hops = () if site is None else (site,)
        found = tuple(
            line
            for task in sorted(self._view.tasks)
            for line in reach(self._view.groups(task), policy, now=now, hops=hops)
        )
        if len(self._told) >= MAX_TOLD:
            self._told.clear()
        self._told[site] = now, found
        return found

    def missed(self, queries: Iterable[Missed], site: str | None) -> None:
        """Have loaded what would have met queries that stayed below."""
        hops = () if site is None else (site,)
        for one in queries:
            want = one.want
            self._warm_up(
                Demand(
                    want, want.latency_ms, one.rows, one.in_bytes, one.out_bytes, hops, one.tiers
                )
            )
