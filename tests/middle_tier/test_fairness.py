"""Who waits under overload: whoever floods, and never who keeps within their share."""

import heapq
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middle_tier.fairness import LEAST, Fairness, Felt


@dataclass
class Tenant:
    """Asks at a steady rate, whatever comes of it."""

    name: str
    rate: float
    latency_ms: float
    share: float = 1.0
    answered: int = 0
    met: int = 0
    refused: int = 0
    asked: int = 0
    served_ms: float = 0.0


@dataclass
class World:
    """A node that answers by deadline, one at a time, behind a router that knows its queue.

    The router sends nothing that would be late, as the real one does.
    """

    tenants: list
    fair: bool = True
    run_ms: float = 10.0
    fairness: Fairness = field(default_factory=Fairness)
    busy_ms: float = 0.0

    def run(self, seconds, skip=2.0):
        order, events, queue = count(), [], []
        self.idle = True
        for tenant in self.tenants:
            heapq.heappush(events, (1 / tenant.rate, next(order), "ask", tenant))
        while events and events[0][0] <= seconds:
            now, _, kind, what = heapq.heappop(events)
            if kind == "ask":
                heapq.heappush(events, (now + 1 / what.rate, next(order), "ask", what))
                self._ask(what, now, queue, order, counted=now > skip)
            else:
                self._done(what, now)
                self.idle = True
            if self.idle and queue:
                _, _, asked = heapq.heappop(queue)
                self.idle = False
                self.busy_ms += self.run_ms
                heapq.heappush(events, (now + self.run_ms / 1e3, next(order), "done", asked))
        return self

    def _ask(self, tenant, now, queue, order, *, counted):
        party = self.fairness.party(tenant.name, tenant.share, now)
        tenant.asked += counted
        if self.fair and self.fairness.refusal(party, now) is not None:
            tenant.refused += counted
            return
        self.fairness.begin(party)
        if (len(queue) + 2 - self.idle) * self.run_ms > tenant.latency_ms:
            tenant.refused += counted
            self.fairness.end(party, Felt(tenant.latency_ms, late=True, wait_ms=None), now)
            return
        due = now + tenant.latency_ms / 1e3
        heapq.heappush(queue, (due, next(order), (tenant, party, now, counted)))

    def _done(self, asked, now):
        tenant, party, at, counted = asked
        elapsed_ms = (now - at) * 1e3
        late = elapsed_ms > tenant.latency_ms + 1e-6
        wait_ms = elapsed_ms - self.run_ms
        self.fairness.end(party, Felt(tenant.latency_ms, late, wait_ms), now)
        tenant.answered += counted
        tenant.met += counted and not late
        tenant.served_ms += counted * self.run_ms


def attainment(tenant):
    return tenant.met / tenant.asked


def test_a_tenant_within_its_share_keeps_its_objective_while_another_floods():
    flood, small = Tenant("flood", 500, 1000), Tenant("small", 20, 100)
    World([flood, small]).run(30)
    assert attainment(small) > 0.99


def test_without_it_that_tenant_gets_next_to_nothing():
    """The world is overloaded indeed: else the test above would say nothing."""
    flood, small = Tenant("flood", 500, 1000), Tenant("small", 20, 100)
    World([flood, small], fair=False).run(30)
    assert attainment(small) < 0.05


def test_what_the_others_leave_is_the_flooders():
    flood, small = Tenant("flood", 500, 1000), Tenant("small", 20, 100)
    world = World([flood, small]).run(30)
    assert world.busy_ms > 0.95 * 30_000
    assert flood.answered > 0.7 * 28 * 100


def test_two_that_flood_alike_get_alike():
    one, two = Tenant("one", 400, 200), Tenant("two", 200, 200)
    World([one, two]).run(30)
    assert one.answered == pytest.approx(two.answered, rel=0.15)


def test_shares_are_kept_in_proportion():
    large, small = Tenant("large", 300, 200, share=3.0), Tenant("small", 300, 200, share=1.0)
    World([large, small]).run(60)
    assert large.answered / small.answered == pytest.approx(3.0, rel=0.25)


def test_alone_nobody_is_held_back():
    flood = Tenant("flood", 500, 1000)
    World([flood]).run(10)
    world = World([Tenant("flood", 500, 1000)], fair=False).run(10)
    assert flood.answered == world.tenants[0].answered


def test_without_overload_nobody_is_held_back():
    tenants = [Tenant("one", 30, 100), Tenant("two", 40, 500), Tenant("three", 5, 50)]
    World(tenants).run(30)
    assert [tenant.refused for tenant in tenants] == [0, 0, 0]


def test_who_wants_what_cannot_be_costs_the_others_nothing_but_their_queue():
    """A want that no idle mesh could meet must not throttle a tenant that is served well."""
    busy, spoiler = Tenant("busy", 95, 300), Tenant("spoiler", 50, 1)
    world = World([busy, spoiler]).run(30)
    assert attainment(busy) > 0.99
    assert world.busy_ms > 0.9 * 30_000


def test_after_the_flood_the_window_goes():
    fairness = Fairness()
    one, two = fairness.party("one", 1.0, 0.0), fairness.party("two", 1.0, 0.0)
    for _ in range(100):
        fairness.begin(one)
    for _ in range(50):
        fairness.end(one, Felt(1000, late=False, wait_ms=500.0), 0.1)
    fairness.begin(two)
    fairness.end(two, Felt(100, late=True, wait_ms=None), 0.2)
    assert fairness.window < 60
    assert fairness.refusal(one, 0.3) is not None
    assert fairness.refusal(two, 0.3) is None
    fairness.party("two", 1.0, 61.0)
    fairness.end(one, Felt(1000, late=False, wait_ms=1.0), 61.1)
    assert fairness.refusal(one, 61.2) is None


def test_who_is_refused_is_told_when_to_come_back():
    fairness = Fairness()
    parties = [fairness.party(name, 1.0, 0.0) for name in ("one", "two")]
    fairness.window = LEAST
    for _ in range(9):
        fairness.begin(parties[0])
    refusal = fairness.refusal(parties[0], 0.0)
    assert refusal.status == 503
    assert "Retry-After" in refusal.headers()
    assert "two" not in refusal.error + refusal.hint


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1000), st.booleans()),
        max_size=200,
    )
)
def test_whoever_is_below_their_share_is_always_let_in(steps):
    fairness, now, running = Fairness(), 0.0, []
    for name, begins, wait_ms, late in steps:
        now += 0.01
        party = fairness.party(name, 1.0, now)
        refusal = fairness.refusal(party, now)
        if refusal is None and begins:
            fairness.begin(party)
            running.append(party)
        elif refusal is not None:
            assert party.running > 0
            assert fairness.total >= fairness.window
        elif running:
            fairness.end(running.pop(), Felt(100.0, late, wait_ms), now)
    assert fairness.total == len(running)
    assert fairness.window >= LEAST
