"""Pure. What a tenant may still use at this gate: rate, concurrency, and cost per day.

A rate is a token bucket that holds one second's worth (at least one query). Cost is known once a
query is answered, so a day's budget is overdrawn by at most what was under way when it ran out.
Each gate counts its own part; what other gates have counted comes in with `elsewhere`, late.
"""

from math import inf

from protocol.errors import OverBudgetError
from protocol.tokens import Budget

DAY_S = 86_400
"""A day ends at midnight UTC."""

BURST_S = 1.0
NEVER_S = 3600.0
"""What `Retry-After` says where waiting does not help."""

MAX_ACCOUNTS = 16_384
"""Accounts kept; beyond, those are forgotten that have nothing to remember."""


class Account:
    """What one tenant, or one token, has used. All of it is O(1), in time and in memory."""

    __slots__ = ("at", "budget", "day", "elsewhere", "level", "running", "unlimited", "usd")

    def __init__(self, budget: Budget, now: float) -> None:
        self.running = 0
        self.at = now
        self.level = _burst(budget)
        self.day = 0
        self.usd = 0.0
        """Spent at this gate on `day`."""
        self.elsewhere = 0.0
        """Spent at other gates on `day`, as far as is known."""
        self.set(budget)

    def __repr__(self) -> str:
        return f"<Account {self.running} running | {self.usd:.3g} USD | {self.level:.1f} left>"

    def set(self, budget: Budget) -> None:
        """From now on this is what may be used; what was used stays used."""
        self.budget = budget
        self.unlimited = budget == Budget()
        self.level = min(self.level, _burst(budget))

    def refusal(self, now: float, wall: float) -> OverBudgetError | None:
        """Why no query may begin now; None: one may. Changes nothing but what time changes."""
        if self.unlimited:
            return None
        budget = self.budget
        if budget.queries_per_s is not None:
            self._fill(budget.queries_per_s, now)
            if self.level < 1.0:
                return _too_fast(budget.queries_per_s, self.level)
        if budget.concurrency is not None and self.running >= budget.concurrency:
            return _too_many(budget.concurrency)
        if budget.usd_per_day is not None and self.spent(wall) >= budget.usd_per_day:
            return _too_dear(budget.usd_per_day, wall)
        return None

    def begin(self) -> None:
        """A query begins: one of the rate is gone."""
        self.running += 1
        self.level -= 1.0

    def end(self, cost_usd: float, wall: float) -> None:
        """It has ended, however it did."""
        self.running -= 1
        if cost_usd:
            self._turn(wall)
            self.usd += cost_usd

    def spent(self, wall: float) -> float:
        """USD of the day that it is."""
        self._turn(wall)
        return self.usd + self.elsewhere

    def recall(self, usd: float, wall: float, *, elsewhere: float = 0.0) -> None:
        """Take over what is known of today: from before a restart, and of other gates."""
        self._turn(wall)
        self.usd = max(self.usd, usd)
        self.elsewhere = max(self.elsewhere, elsewhere)

    def forgettable(self, now: float, wall: float) -> bool:
        """Whether a new account would be just like this one."""
        self._turn(wall)
        return not self.running and not self.usd and now - self.at > 2 * BURST_S

    def _fill(self, rate: float, now: float) -> None:
        self.level = min(_burst(self.budget), self.level + (now - self.at) * rate)
        self.at = now

    def _turn(self, wall: float) -> None:
        day = int(wall // DAY_S)
        if day != self.day:
            self.day, self.usd, self.elsewhere = day, 0.0, 0.0


class Accounts:
    """Every account of a gate, by name: a tenant's, or a token's own."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def __repr__(self) -> str:
        return f"<Accounts {len(self._accounts)}>"

    def of(self, name: str, budget: Budget, now: float, wall: float) -> Account:
        """Return the account, with this budget from now on."""
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._forget(now, wall)
            account = self._accounts[name] = Account(budget, now)
        elif account.budget != budget:
            account.set(budget)
        return account

    def known(self, name: str) -> Account | None:
        return self._accounts.get(name)

    def _forget(self, now: float, wall: float) -> None:
        for name in [n for n, a in self._accounts.items() if a.forgettable(now, wall)]:
            del self._accounts[name]


def _burst(budget: Budget) -> float:
    return inf if budget.queries_per_s is None else max(1.0, budget.queries_per_s * BURST_S)


def _too_fast(rate: float, level: float) -> OverBudgetError:
    wait_s = min((1.0 - level) / rate, NEVER_S) if rate > 0 else NEVER_S
    return OverBudgetError(
        f"the budget of {rate:g} queries a second is used up",
        "send fewer, or ask your operator for more; GET /v1/usage says what you use",
        retry_after_s=wait_s,
    )


def _too_many(most: int) -> OverBudgetError:
    return OverBudgetError(
        f"{most} queries are under way, which is the budget",
        "wait for one to be answered before sending the next, or ask your operator for more",
    )


def _too_dear(usd: float, wall: float) -> OverBudgetError:
    return OverBudgetError(
        f"the budget of {usd:g} USD a day is spent",
        "it begins anew at midnight UTC; or ask your operator for more",
        retry_after_s=DAY_S - wall % DAY_S,
    )
