"""Rate, concurrency and cost: what is left of them, and what the refusal says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middle_tier.budgets import DAY_S, MAX_ACCOUNTS, Account, Accounts
from protocol.tokens import Budget

DAY = 20_000 * DAY_S
"""Midnight."""


def an_account(now=0.0, **budget):
    return Account(Budget(**budget), now)


def began(account, now, wall=DAY):
    """Whether a query could begin; it ends at once."""
    if account.refusal(now, wall) is not None:
        return False
    account.begin()
    account.end(0.0, wall)
    return True


def test_without_a_budget_everything_may_begin():
    account = an_account()
    assert all(began(account, 0.0) for _ in range(10_000))


def test_a_rate_lets_one_seconds_worth_through_at_once_and_then_its_rate():
    account = an_account(queries_per_s=10)
    assert sum(began(account, 0.0) for _ in range(100)) == 10
    assert sum(began(account, 0.5) for _ in range(100)) == 5


def test_a_rate_below_one_a_second_lets_one_through():
    account = an_account(queries_per_s=0.1)
    assert sum(began(account, 0.0) for _ in range(100)) == 1
    refusal = account.refusal(5.0, DAY)
    assert refusal.headers() == {"Retry-After": "5"}
    assert began(account, 10.0)


def test_a_rate_of_nothing_lets_nothing_through_after_the_first():
    account = an_account(queries_per_s=0)
    began(account, 0.0)
    assert account.refusal(1e9, DAY).headers() == {"Retry-After": "3600"}


@given(
    st.floats(0.5, 500),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=300),
)
def test_no_second_sees_more_than_twice_the_rate(rate, gaps):
    account, now, begun = an_account(queries_per_s=rate), 0.0, []
    for gap in gaps:
        now += gap
        if began(account, now):
            begun.append(now)
    for start in begun:
        assert sum(start <= at < start + 1 for at in begun) <= max(1.0, rate) + rate + 1


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 8))
def test_never_more_are_under_way_than_the_budget_says(turns, most):
    account = an_account(concurrency=most)
    for begins in turns:
        if begins and account.refusal(0.0, DAY) is None:
            account.begin()
        elif account.running:
            account.end(0.0, DAY)
        assert 0 <= account.running <= most


def test_a_days_cost_is_spent_until_midnight():
    account = an_account(usd_per_day=1.0)
    account.begin()
    account.end(1.0, DAY + 60)
    refusal = account.refusal(0.0, DAY + 60)
    assert "a day is spent" in refusal.error
    assert refusal.headers() == {"Retry-After": str(DAY_S - 60)}
    assert account.refusal(0.0, DAY + DAY_S) is None


def test_what_other_gates_and_earlier_runs_have_spent_counts():
    account = an_account(usd_per_day=1.0)
    account.recall(0.4, DAY, elsewhere=0.5)
    assert account.refusal(0.0, DAY) is None
    account.recall(0.5, DAY, elsewhere=0.5)
    assert account.refusal(0.0, DAY) is not None
    assert account.spent(DAY + DAY_S) == 0.0


def test_what_is_recalled_late_takes_nothing_away():
    account = an_account(usd_per_day=1.0)
    account.recall(0.9, DAY)
    account.recall(0.1, DAY)
    assert account.spent(DAY) == 0.9


def test_a_smaller_budget_holds_at_once():
    account = an_account(queries_per_s=100)
    account.set(Budget(queries_per_s=2))
    assert sum(began(account, 0.0) for _ in range(100)) == 2


def test_accounts_are_bounded_and_forget_only_what_is_nothing():
    accounts = Accounts()
    spender = accounts.of("spender", Budget(usd_per_day=1), 0.0, DAY)
    spender.begin()
    spender.end(5.0, DAY)
    for number in range(3 * MAX_ACCOUNTS):
        accounts.of(f"t{number}", Budget(), number * 1.0, DAY)
    assert int(repr(accounts).split()[1].rstrip(">")) <= MAX_ACCOUNTS
    assert accounts.known("spender") is spender


@pytest.mark.parametrize("fields", [{"queries_per_s": 1}, {"concurrency": 1}, {"usd_per_day": 0}])
def test_every_refusal_says_how_long_and_what_to_do(fields):
    account = an_account(**fields)
    account.begin()
    refusal = account.refusal(0.0, DAY)
    assert refusal.status == 429
    assert int(refusal.headers()["Retry-After"]) >= 1
    assert "ask your operator" in refusal.hint
