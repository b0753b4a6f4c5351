"""Pure. Whose turn it is when several tenants wait for one node: start-time fair queueing.

Each tenant has a tag: what it has had of the node, in ms of work over its share. The time of the
node is the tag of whoever was served last beyond their share; one who comes back stands at most
`CREDIT_MS` behind it, so that nobody saves up. Who is behind the time is within their share: such
tenants go first, earliest due first. The others follow, the lowest tag first, and move the time on.
So whoever floods pays for it with their place, and only while somebody else waits. The order of
one tenant's own asks, and where they stand, is lanes' business.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import NamedTuple

CREDIT_MS = 50.0
"""What a tenant within its share may have in a row before one that is due later and has had less.
More keeps the order closer to earliest due first; less stops a new flood sooner."""

FIRST = -inf
"""The rank of those within their share; that of others is their tag."""

SWEPT_AT = 256
"""Accounts at which those are forgotten that are as good as new."""

MOST = 4096
"""Accounts kept of tenants that wait for nothing: of those that have had most. A node that is never
idle and has ever new tenants, all within their shares, sees no time pass: all would be kept."""


class Before(NamedTuple):
    """What stands before an ask of one tenant."""

    ahead_ms: float
    """Work that is run before it, the tenant's own as well."""
    within: bool
    """Whether it is within the tenant's share."""


class Account:
    """One tenant at this node."""

    __slots__ = ("ahead_ms", "largest_ms", "queued_ms", "rank", "share", "tag", "waiting")

    def __init__(self, tag: float) -> None:
        self.share = 1.0
        self.tag = tag
        self.rank = FIRST
        """As of the last time that it mattered: it does not while nobody else waits."""
        self.waiting = 0
        self.queued_ms = 0.0
        self.largest_ms = 0.0
        """Of one ask, among those that wait."""
        self.ahead_ms = 0.0
        """Of what is queued, what may be run while it is within its share."""

    def __repr__(self) -> str:
        return f"<Account {self.waiting} waiting | {self.queued_ms:.1f} ms | tag {self.tag:.1f}>"


class Shares:
    """The mutable state is the accounts, the time, and until when the node is busy.

    No step takes longer for more tenants, but for forgetting, which happens less often then.
    """

    def __init__(self, workers: int = 1) -> None:
        self.time = 0.0
        self.ahead_ms = 0.0
        """Queued work that is within somebody's share."""
        self.moved: list[Account] = []
        """Whose rank has changed; for whoever keeps the order, who clears it."""
        self._workers = workers
        self._accounts: dict[str, Account] = {}
        self._waiting: dict[Account, None] = {}
        self._beyond: list[tuple[float, int, Account]] = []
        """A heap of those who wait and are not within their share; what was true earlier, too."""
        self._tie = count()
        self._busy_until = 0.0
        self._sweep_at = SWEPT_AT

    def __repr__(self) -> str:
        return f"<Shares {len(self._waiting)} of {len(self._accounts)} wait | {self.time:.1f} ms>"

    @property
    def contended(self) -> bool:
        """Whether several tenants wait."""
        return len(self._waiting) > 1

    def queued(self, tenant: str, share: float, cost_ms: float, now: float) -> Account:
        """One more of the tenant's asks waits."""
        account = self._accounts.get(tenant)
        if account is None:
            account = self._opened(tenant)
        account.share = share
        account.waiting += 1
        account.queued_ms += cost_ms
        account.largest_ms = max(account.largest_ms, cost_ms)
        if account.waiting == 1:
            self._begins(account, now)
        self._reckon(account)
        return account

    def serves(self, account: Account) -> None:
        """It is this one's turn, before any of its asks is taken off."""
        if account.tag <= self.time:
            return
        self.time = account.tag
        while self._beyond and self._beyond[0][0] < self.time:  # whom it has passed is within again
            rank, _, passed = heappop(self._beyond)
            if passed.rank == rank and passed.waiting and self.contended:
                self._rank(passed)

    def ran(self, account: Account, cost_ms: float, now: float) -> None:
        """One that waited no more is run: in its turn, or to fill another's batch."""
        account.tag += cost_ms / account.share
        self._busy_until = max(self._busy_until, now) + cost_ms / 1e3 / self._workers
        self._reckon(account)
        if len(self._waiting) > 1 and account.waiting:
            self._rank(account)

    def left(self, account: Account, queued_ms: float) -> None:
        """One waits no more, of which so much was queued."""
        account.waiting -= 1
        if not account.waiting:
            queued_ms = account.queued_ms  # with what rounding left
            account.largest_ms = 0.0
            del self._waiting[account]
        self.put_off(account, queued_ms)
        if not self._waiting:
            self.ahead_ms = 0.0

    def put_off(self, account: Account, queued_ms: float) -> None:
        """So much of what waits is late anyway: it does not count as queued any more."""
        account.queued_ms -= queued_ms
        self._reckon(account)

    def within(self, account: Account) -> bool:
        """Whether what it has had leaves it within its share."""
        return account.tag < self.time

    def before(self, tenant: str, share: float) -> Before | None:
        """What would stand before its next ask; None: nobody else waits, so its share is all."""
        account = self._accounts.get(tenant)
        own = account is not None and account.waiting > 0
        if len(self._waiting) <= own:
            return None
        if account is None:
            return Before(self.ahead_ms, within=True)
        tag = account.tag if own else max(account.tag, self.time - CREDIT_MS)
        within = tag + account.queued_ms / share < self.time
        return Before(self.ahead_ms - account.ahead_ms + account.queued_ms, within)

    def _begins(self, account: Account, now: float) -> None:
        """It did not wait until now."""
        if not self._waiting and now > self._busy_until:  # idle: time for everybody
            self.time += (now - self._busy_until) * 1e3 * self._workers
            self._busy_until = now
        account.tag = max(account.tag, self.time - CREDIT_MS)
        self._waiting[account] = None
        if len(self._waiting) == 2:  # noqa: PLR2004  # now it matters for the one that was alone
            for each in self._waiting:
                self._rank(each)
        elif len(self._waiting) > 1:
            self._rank(account)

    def _rank(self, account: Account) -> None:
        rank = FIRST if account.tag < self.time else account.tag
        if rank == account.rank:
            return
        account.rank = rank
        self.moved.append(account)
        if rank != FIRST:
            heappush(self._beyond, (rank, next(self._tie), account))
            if len(self._beyond) > SWEPT_AT + 2 * len(self._waiting):
                own = (each for each in self._waiting if each.rank != FIRST)
                self._beyond = [(each.rank, next(self._tie), each) for each in own]
                heapify(self._beyond)

    def _reckon(self, account: Account) -> None:
        left_ms, ahead_ms = (self.time - account.tag) * account.share, 0.0
        if left_ms > 0.0:  # the last that begins within it may end beyond
            ahead_ms = min(account.queued_ms, left_ms + account.largest_ms)
        self.ahead_ms += ahead_ms - account.ahead_ms
        account.ahead_ms = ahead_ms

    def _opened(self, tenant: str) -> Account:
        if len(self._accounts) >= self._sweep_at:
            self._sweep()
        account = self._accounts[tenant] = Account(self.time - CREDIT_MS)
        return account

    def _sweep(self) -> None:
        """Forget those that are as good as new; and of too many those that nearly are."""
        new = self.time - CREDIT_MS
        kept = {name: a for name, a in self._accounts.items() if a.waiting or a.tag > new}
        idle = sorted((a.tag, name) for name, a in kept.items() if not a.waiting)
        for _, name in idle[:-MOST]:
            del kept[name]
        self._accounts = kept
        self._sweep_at = max(SWEPT_AT, 2 * len(kept))
