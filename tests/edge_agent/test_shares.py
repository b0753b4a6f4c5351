"""Whose turn it is when tenants wait: each its share, nobody starved, the node never idle."""

from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_agent.queue.lanes import Lanes
from edge_agent.queue.shares import CREDIT_MS, FIRST, MOST, SWEPT_AT, Shares
from protocol.bundles import estimate
from tests.build import a_profile
from tests.edge_agent.node import an_ask
from tests.edge_agent.test_batching import waiting
from tests.edge_agent.test_lanes import SHAPE, a_holding

RUN_MS = 10.0
LARGEST_MS = 3 * RUN_MS
FOR_EVER = 1e6
SOON, LATER = 100.0, 1000.0

shares = st.sampled_from([0.5, 1.0, 2.0, 5.0])


def one(tenant, *, due=FOR_EVER, rows=1, share=1.0, arrived=0.0):
    """An ask that waits; its deadline never comes."""
    each = waiting(rows, due, FOR_EVER)
    each.ask = an_ask("a", rows=rows, tenant=tenant, share=share)
    each.arrived = arrived
    return each


class Node:
    """One worker and one variant of which each row takes 10 ms; time passes while it runs."""

    def __init__(self, max_rows=1):
        self.lanes, self.now = Lanes(), 0.0
        self.max_rows = max_rows
        runs = {n: estimate(n * RUN_MS) for n in (1, 4, 8)}
        self.holding = a_holding()
        self.holding.forecast.profile = a_profile(runs=runs)

    def push(self, *asks):
        for each in asks:
            self.lanes.push(each, self.holding, SHAPE, short=False)

    def run(self):
        """Run the next batch; return its members."""
        lane = self.lanes.next(short_only=False)
        assert (lane is None) == (self.lanes.rows == 0)  # it is never idle while somebody waits
        if lane is None:
            return ()
        members = self.lanes.take(lane, self.now, self.max_rows).members
        self.now += sum(each.rows for each in members) * RUN_MS / 1e3
        self.lanes.wake(self.holding)
        return members


def flooded(node, *tenants, turns=10, asks=200):
    """These have filled the queue and have used up what they may have in a row."""
    for tenant in tenants:
        node.push(*[one(tenant, due=SOON + at) for at in range(asks)])
    for _ in range(turns * len(tenants)):
        node.run()
    return node


@given(
    st.dictionaries(st.sampled_from("abcd"), shares, min_size=2),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 3), st.integers(1, 99)), min_size=8,
             max_size=60),
    st.integers(1, 8), st.data(),
)  # fmt: skip
def test_tenants_that_always_wait_get_their_shares(weights, given_asks, max_rows, data):
    """Over any stretch of time: less what one may have in a row, and a batch."""
    node, had, history = Node(max_rows), Counter(), []
    kinds = {name: [(r, d) for n, r, d in given_asks if n == name] or [(1, 50)] for name in weights}
    for _ in range(60):
        for name, share in weights.items():
            missing = 12 - sum(each.ask.tenant == name for each in everyone(node))
            for at in range(missing):
                rows, due = kinds[name][at % len(kinds[name])]
                node.push(one(name, due=FOR_EVER - due, rows=rows, share=share, arrived=node.now))
        for each in node.run():
            had[each.ask.tenant] += each.rows * RUN_MS
        history.append(dict(had))
    begin = data.draw(st.integers(0, len(history) - 2))
    end = data.draw(st.integers(begin + 1, len(history) - 1))
    per_share = {
        name: (history[end].get(name, 0) - history[begin].get(name, 0)) / share
        for name, share in weights.items()
    }
    batch_ms = max_rows * RUN_MS + LARGEST_MS
    slack_ms = 2 * (CREDIT_MS + batch_ms / min(weights.values()))
    assert max(per_share.values()) - min(per_share.values()) <= slack_ms


def run(shares, account, cost_ms, now):
    shares.serves(account)
    shares.left(account, cost_ms)
    shares.ran(account, cost_ms, now)


def everyone(node):
    return [each for lane in node.lanes._lanes.values() for each in lane.asks]  # noqa: SLF001


@given(st.lists(st.tuples(st.sampled_from("abcdef"), shares, st.integers(1, 3), st.integers(1, 99)),
                max_size=40), st.integers(1, 8))  # fmt: skip
def test_everybody_is_served_in_the_end_and_the_node_is_never_idle(given_asks, max_rows):
    node = Node(max_rows)
    node.push(*[one(t, due=FOR_EVER - due, rows=r, share=s) for t, s, r, due in given_asks])
    had = Counter()
    while members := node.run():
        had.update(each.ask.tenant for each in members)
    assert had == Counter(tenant for tenant, *_ in given_asks)
    assert node.lanes.queued_ms == node.lanes._shares.ahead_ms == 0.0  # noqa: SLF001


@given(st.integers(1, 5), st.integers(1, 8))
def test_one_within_its_share_waits_for_nobody_beyond_theirs(floods, max_rows):
    node = flooded(Node(max_rows), *"abcde"[:floods])
    late = one("small", due=LATER, arrived=node.now)
    node.push(late)
    assert late in node.run()


@given(
    st.lists(st.tuples(st.sampled_from("abc"), shares, st.integers(1, 3), st.integers(1, 99)),
             min_size=1, max_size=40),
    st.integers(0, 20), shares, st.integers(1, 99),
)  # fmt: skip
def test_what_is_said_to_be_before_an_ask_is_all_that_is_run_before_it(
    given_asks, turns, share, due
):
    node = Node()
    for at, (tenant, weight, rows, soon) in enumerate(given_asks):
        node.push(one(tenant, due=FOR_EVER - soon, rows=rows, share=weight, arrived=node.now))
        if at < turns:
            node.run()
    ask = one("d", due=FOR_EVER - due, share=share, arrived=node.now)
    before = node.lanes.before(ask.ask)
    assume(before is not None and before.within)
    node.push(ask)
    ran_ms = 0.0
    while ask not in (members := node.run()):
        ran_ms += sum(each.rows for each in members) * RUN_MS
    assert ran_ms <= before.ahead_ms + 1e-6


def test_who_floods_has_only_what_others_leave():
    node = flooded(Node(), "flood")
    for _ in range(30):
        small = one("small", due=LATER, arrived=node.now)
        node.push(small, one("flood", due=SOON, arrived=node.now))
        assert small in node.run()
        node.run()


def test_alone_a_tenant_s_asks_run_earliest_due_first_however_many_there_are():
    node = flooded(Node(), "alone")
    urgent = one("alone", due=1.0, arrived=node.now)
    node.push(urgent)
    assert node.run() == (urgent,)


def test_several_within_their_shares_run_earliest_due_first():
    node = flooded(Node(), "flood")
    asks = [one(name, due=LATER - at, arrived=node.now) for at, name in enumerate("abc")]
    node.push(*asks)
    assert [node.run()[0] for _ in asks] == asks[::-1]


def test_nobody_saves_up():
    """Whoever was away for an hour has no more to their credit than who was away for a second."""
    node = Node()
    node.push(one("back"))
    node.run()
    flooded(node, "flood", asks=400, turns=300)
    node.push(*[one("back", due=LATER, arrived=node.now) for _ in range(50)])
    ran = [node.run()[0].ask.tenant for _ in range(20)]
    assert ran[: int(CREDIT_MS / RUN_MS)] == ["back"] * int(CREDIT_MS / RUN_MS)
    assert ran.count("flood") >= 6


def test_a_full_batch_is_made_of_several_tenants_asks():
    node = Node(max_rows=8)
    node.push(*[one("ab"[at % 2]) for at in range(8)])
    assert len(node.run()) == 8


def test_one_beyond_its_share_sees_all_that_waits_and_nobody_is_told_of_a_share_alone():
    node = flooded(Node(), "flood")
    assert node.lanes.before(one("flood").ask) is None
    assert node.lanes.before(one("small").ask) == (0.0, True)
    node.push(one("small", arrived=node.now))
    assert not node.lanes.before(one("flood").ask).within


@pytest.mark.parametrize(("at", "rank"), [(0.55, 450.0), (1.2, FIRST)])
def test_idle_time_forgives(at, rank):
    """A run that ends at 0.5 s has used up a credit; what the node is idle since then counts."""
    shares = Shares()
    account = shares.queued("a", 1.0, 500.0, 0.0)
    run(shares, account, 500.0, 0.0)
    shares.queued("a", 1.0, 1.0, at)
    shares.queued("b", 1.0, 1.0, at)
    assert account.rank == rank


def test_accounts_that_are_as_good_as_new_are_forgotten():
    shares = Shares()
    for at in range(10 * SWEPT_AT):
        account = shares.queued(f"t{at}", 1.0, 1.0, at)
        run(shares, account, 1.0, at)
    assert len(shares._accounts) <= SWEPT_AT  # noqa: SLF001


def test_tenants_without_end_at_a_node_that_is_never_idle_are_forgotten_too():
    shares, waits = Shares(), []
    for at in range(5 * MOST):
        waits.append(shares.queued(f"t{at}", 1.0, RUN_MS, 0.0))
        if len(waits) > 2:
            run(shares, waits.pop(0), RUN_MS, 0.0)
    assert len(shares._accounts) <= 2 * (MOST + 2)  # noqa: SLF001


def test_of_too_many_accounts_those_are_kept_that_have_had_most():
    shares = Shares()
    shares.queued("always", 1.0, RUN_MS, 0.0)
    much = shares.queued("much", 1.0, 40 * RUN_MS, 0.0)
    run(shares, much, 40 * RUN_MS, 0.0)
    for at in range(3 * MOST):
        run(shares, shares.queued(f"t{at}", 1.0, RUN_MS, 0.0), RUN_MS, 0.0)
    assert shares.queued("much", 1.0, RUN_MS, 0.0) is much


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0.1, 90)), max_size=60))
def test_the_sum_ahead_is_that_of_the_accounts(steps):
    shares, waits, now = Shares(), [], 0.0
    for name, runs, cost_ms in steps:
        now += 0.01
        if runs and waits:
            account, cost = waits.pop(0)
            run(shares, account, cost, now)
        else:
            waits.append((shares.queued(name, 1.0, cost_ms, now), cost_ms))
        accounts = {id(a): a for a, _ in waits}.values()
        assert shares.ahead_ms == pytest.approx(sum(a.ahead_ms for a in accounts), abs=1e-6)
        assert all(a.ahead_ms <= a.queued_ms + 1e-6 for a in accounts)
        assert shares.contended == (len(accounts) > 1)
        assert all(a.rank == FIRST or a.rank >= 0.0 for a in accounts)


def test_who_has_used_up_its_share_in_one_lane_stands_behind_in_the_others():
    node, other = Node(), a_holding("other")
    other.forecast = node.holding.forecast
    node.push(one("much", due=SOON, rows=8))
    for tenant, due in (("much", SOON), ("little", LATER)):
        lane = node.lanes.push(one(tenant, due=due), other, SHAPE, short=False)
    first = node.lanes.next(short_only=False)
    node.lanes.take(first, 0.0, 8)
    node.holding.busy = True
    assert node.lanes.next(short_only=False) is lane
    assert lane.first().tenant == "little"


def runs(shares, tenant):
    """One of the tenant's waits already: it is run, and another waits."""
    account = shares.queued(tenant, 1.0, RUN_MS, 0.0)
    shares.serves(account)
    shares.left(account, RUN_MS)
    shares.ran(account, RUN_MS, 0.0)
    return account


def test_whoever_the_time_has_passed_meanwhile_is_within_its_share_again():
    shares = Shares()
    for tenant in ("busy", "held up"):
        shares.queued(tenant, 1.0, RUN_MS, 0.0)
    for tenant in ("busy", "held up") * 10:
        held_up = runs(shares, tenant)
    assert held_up.rank == held_up.tag  # it has had what it may
    for _ in range(10):
        runs(shares, "busy")  # while what the other waits for is busy
    assert shares.within(held_up)
    assert held_up.rank == FIRST
    assert held_up in shares.moved


def test_what_is_kept_does_not_grow_with_what_was_run():
    shares = Shares()
    for tenant in ("a", "b"):
        shares.queued(tenant, 1.0, RUN_MS, 0.0)
    for _ in range(2000):
        runs(shares, "a")
        runs(shares, "b")
    assert len(shares._beyond) <= SWEPT_AT + 4  # noqa: SLF001  # nothing else shows it
