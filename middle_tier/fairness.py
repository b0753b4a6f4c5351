"""Pure. Which tenant has to wait when the mesh has more to do than it can: whoever has its share.

A tenant that floods the nodes leaves no room for others: queues grow until nobody else's objective
can be met. Here, where queries enter, that is felt: a tenant within its share is answered late, or
nearly so, or nothing can meet its want, while queries wait at nodes. Then those under way are held
to a window, which shrinks as long as that goes on and grows again when it does not, as TCP's does.
Within the window everybody is admitted; beyond it only who is below their share of it. With a
single tenant, and while nobody suffers, nothing is held back.
"""

from math import inf

import msgspec

from protocol.errors import NoCandidateError

ACTIVE_S = 3.0
"""How long after its last query a tenant keeps its share: others must not fill it between two."""

COUNT_S = 0.25
"""Between two counts of who is active."""

WAIT_MS = 5.0
WAIT_SHARE = 0.25
"""Queries wait when they do so for this much of the sufferer's objective, and `WAIT_MS` at least:
so nobody has others held back by wanting what cannot be; short queues keep nodes just as busy."""

SMOOTH = 0.1
"""Of the average wait: what one more answer weighs."""

STRAIN = 0.4
"""An answer that has waited for this much of its objective is a warning: before anybody is late."""

SHRINK, SHRINK_A_LITTLE, SHRINK_S = 0.7, 0.9, 0.05
LEAST = 4.0
"""The window's smallest size: nodes are not to stand idle for want of queries."""

HOLD_S, CALM_S = 10.0, 60.0
"""How long nobody has suffered when the window begins to grow, and when it is gone. Finding out how
far it may grow costs somebody within their share a query each time, so that is not done often."""


class Felt(msgspec.Struct, frozen=True):
    """How a query went, as far as load goes."""

    latency_ms: float
    """The objective."""
    late: bool
    """Answered later, or not at all because of the time it would take."""
    wait_ms: float | None
    """How long it waited at the node that answered."""


class Party:
    """One tenant. The mutable state of who is under way."""

    __slots__ = ("gone", "running", "seen", "share")

    def __init__(self, share: float, now: float) -> None:
        self.share = share
        self.running = 0
        self.seen = now
        self.gone = False
        """Forgotten: ask for another."""


class Fairness:
    """The mutable state is the parties, the window and the average wait."""

    def __init__(self) -> None:
        self.window = inf
        self.wait_ms = 0.0
        self.total = 0
        self._parties: dict[str, Party] = {}
        self._shares = 0.0
        """Of those that are active, in all."""
        self._active = 0
        self._counted = -inf
        self._shrunk = -inf

    def __repr__(self) -> str:
        return f"<Fairness {self.total} under way of {self.window:.1f} | {self._active} active>"

    def party(self, tenant: str, share: float, now: float) -> Party:
        """Return the tenant's, for `begin` and the rest."""
        party = self._parties.get(tenant)
        if party is None:
            party = self._parties[tenant] = Party(share, now)
            self._count(now)
        party.share = share
        return party

    def refusal(self, party: Party, now: float) -> NoCandidateError | None:
        """Why this tenant has to wait now; None: it has not."""
        idle = now - party.seen > ACTIVE_S
        party.seen = now
        if self.window == inf:
            return None
        if idle or now - self._counted > COUNT_S:
            self._count(now)
        if self._active < 2 or self.total < self.window or self._below(party):  # noqa: PLR2004  # a pair
            return None
        return NoCandidateError(
            "the mesh has more to do than it can, and you have your share of it",
            "send less at a time; those within their share are answered first",
        )

    def begin(self, party: Party) -> None:
        party.running += 1
        self.total += 1

    def end(self, party: Party, felt: Felt | None, now: float) -> None:
        """A query has ended; `felt` is None where that says nothing of load."""
        below = self._active > 1 and self._below(party)
        party.running -= 1
        self.total -= 1
        if felt is None:
            return
        if felt.wait_ms is not None:
            self.wait_ms += SMOOTH * (felt.wait_ms - self.wait_ms)
        if now - self._counted > COUNT_S:
            self._count(now)
        if self._active < 2:  # noqa: PLR2004  # a pair
            self.window = inf
        elif below and (shrink := self._strain(felt)) is not None:
            self._shrink(shrink, now)
        elif now - self._shrunk > CALM_S:
            self.window = inf
        elif now - self._shrunk > HOLD_S:
            self.window += 1.0 / self.window

    def _strain(self, felt: Felt) -> float | None:
        """By how much the window is to shrink for somebody within their share; None: it is not."""
        if self.wait_ms < max(WAIT_MS, WAIT_SHARE * felt.latency_ms):
            return None
        if felt.late:
            return SHRINK
        strained = felt.wait_ms is not None and felt.wait_ms > STRAIN * felt.latency_ms
        return SHRINK_A_LITTLE if strained else None

    def _shrink(self, shrink: float, now: float) -> None:
        if now - self._shrunk >= SHRINK_S:
            self.window = max(LEAST, shrink * min(self.window, self.total + 1.0))
            self._shrunk = now

    def _below(self, party: Party) -> bool:
        """Whether its queries under way are fewer than its share of the window (or of all)."""
        whole = min(self.window, max(LEAST, float(self.total)))
        return self._shares > 0 and party.running <= whole * party.share / self._shares

    def _count(self, now: float) -> None:
        """Who is active, and forget who is not."""
        self._counted = now
        gone = [
            tenant
            for tenant, party in self._parties.items()
            if not party.running and now - party.seen > ACTIVE_S
        ]
        for tenant in gone:
            self._parties.pop(tenant).gone = True
        self._active = len(self._parties)
        self._shares = sum(party.share for party in self._parties.values())
