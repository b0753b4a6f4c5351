"""The queue: earliest deadline first, nothing lost, the sums right, in whatever order it comes."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_agent.bundles.store import Held
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.intake import Signature
from edge_agent.queue.lanes import Lanes
from edge_agent.queue.strands import STALE
from edge_agent.stock.holdings import Holding
from protocol.bundles import RuntimePin, estimate
from tests.build import a_profile
from tests.edge_agent.node import TASK, an_ask, quick
from tests.edge_agent.test_batching import waiting

SHAPE = ((2,),)


def a_holding(name="quick"):
    variant = quick(name)
    return Holding(
        held=Held(variant, TASK, None),
        pin=RuntimePin(name="table", version="1"),
        signature=Signature(TASK),
        forecast=Forecast(variant.profile),
        memory_bytes=1,
        state="warm",
    )


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from("ab"), st.booleans()), max_size=30))
def test_the_most_urgent_ask_is_always_next(given_asks):
    lanes, holdings = Lanes(), {name: a_holding(name) for name in "ab"}
    for due, name, short in given_asks:
        lanes.push(waiting(due=float(due)), holdings[name], SHAPE, short=short)
    dues = []
    while (lane := lanes.next(short_only=False)) is not None:
        assert lane.asks[0].due == min(each.asks[0].due for each in lanes._lanes.values())  # noqa: SLF001  # all of them
        dues += [member.due for member in lanes.take(lane, 0.0, 1).members]
        lanes.wake(lane.holding)
    assert dues == sorted(due for due, _, _ in given_asks)
    assert (lanes.rows, lanes.queued_ms) == (0, 0.0)


class AnyOrder(RuleBasedStateMachine):
    """Pushes, batches, cancels, busy and cold holdings at random, beside a plain list."""

    tenants = st.just("only")

    def __init__(self):
        super().__init__()
        self.lanes = Lanes()
        self.holdings = {name: a_holding(name) for name in "ab"}
        self.now = 0.0
        self.model = []

    @rule(
        name=st.sampled_from("ab"), due=st.none() | st.integers(0, 50), later=st.integers(0, 50),
        rows=st.integers(1, 9), short=st.booleans(), data=st.data(),
    )  # fmt: skip
    def push(self, name, due, later, rows, *, short, data):
        """`due` is None for what is late anyway."""
        end = self.now + (due or 0) / 1e3
        each = waiting(rows, inf if due is None else end, end + later / 1e3)
        each.ask = an_ask("a", rows=rows, tenant=data.draw(self.tenants))
        each.arrived = self.now
        lane = self.lanes.push(each, self.holdings[name], SHAPE, short=short)
        self.model.append((lane, each))

    @rule(ms=st.integers(0, 20))
    def time_passes(self, ms):
        self.now += ms / 1e3

    @rule(name=st.sampled_from("ab"), busy=st.booleans())
    def a_run_begins_or_ends(self, name, busy):
        self.holdings[name].busy = busy
        if not busy:
            self.lanes.wake(self.holdings[name])

    @rule(short_only=st.booleans(), max_rows=st.integers(1, 8))
    def take(self, short_only, max_rows):
        lane = self.lanes.next(short_only=short_only)
        able = [
            (place, each)
            for place, each in self.model
            if place.holding.free and (place.key[2] or not short_only)
        ]
        if lane is None:
            assert not able
            return
        first = lane.first()
        assert (first.rank, first.asks[0].due) == min(map(self.place, able))
        batch = self.lanes.take(lane, self.now, max_rows)
        gone = {id(each) for each in (*batch.members, *batch.late)}
        assert gone or batch.postponed
        self.model = [(place, each) for place, each in self.model if id(each) not in gone]
        self.lanes.wake(lane.holding)

    @staticmethod
    def place(waits):
        """Its tenant's rank, if it is not late anyway, and when it is due."""
        lane, each = waits
        rank = lane.strands[each.ask.tenant].account.rank
        return rank if each.due < inf else inf, each.due

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data):
        place, each = data.draw(st.sampled_from(self.model))
        assert self.lanes.cancel(place, each)
        assert not self.lanes.cancel(place, each)
        self.model.remove((place, each))

    @rule(name=st.sampled_from("ab"))
    def clear(self, name):
        gone = self.lanes.clear(self.holdings[name])
        assert {id(each) for _, each in gone} == {
            id(each) for place, each in self.model if place.key[0] == name
        }
        self.model = [(place, each) for place, each in self.model if place.key[0] != name]

    @invariant()
    def the_sums_are_right(self):
        assert self.lanes.rows == sum(each.rows for _, each in self.model)
        in_time = {}
        for place, each in self.model:
            if each.due < inf:
                _, rows = in_time.get(id(place), (place, 0))
                in_time[id(place)] = place, rows + each.rows
        cost_ms = sum(
            place.holding.forecast.work_ms(rows, 95.0) for place, rows in in_time.values()
        )
        assert self.lanes.queued_ms == pytest.approx(cost_ms, abs=1e-9)


class AnyTenant(AnyOrder):
    """The same with several tenants: the order is by rank, and earliest due first within it."""

    tenants = st.sampled_from("xyz")

    def __init__(self):
        super().__init__()
        for holding in self.holdings.values():  # slow enough for shares to be used up
            holding.forecast = Forecast(a_profile(runs={1: estimate(30.0), 8: estimate(60.0)}))


TestAnyOrder = AnyOrder.TestCase
TestAnyTenant = AnyTenant.TestCase


def test_behind_a_cancelled_ask_the_next_one_still_gets_its_turn():
    lanes, holding = Lanes(), a_holding()
    first, second = waiting(due=1.0), waiting(due=2.0)
    lane = lanes.push(first, holding, SHAPE, short=True)
    lanes.push(second, holding, SHAPE, short=True)
    assert lanes.cancel(lane, first)
    assert lanes.next(short_only=True) is lane
    assert lanes.take(lane, 0.0, 8).members == (second,)


def test_what_is_late_anyway_runs_last_and_is_no_queue_for_others():
    lanes, late, other = Lanes(), a_holding("a"), a_holding("b")
    lanes.push(waiting(8, inf, 5.0), late, SHAPE, short=True)
    assert (lanes.rows, lanes.queued_ms) == (8, 0.0)
    lanes.push(waiting(1, 9.0, 10.0), other, SHAPE, short=True)
    assert lanes.queued_ms == other.forecast.run_ms(1, 95.0)
    assert lanes.next(short_only=True).holding is other
    assert lanes.passes(an_ask("c"), free_at=0.0, due=0.1, run_s=0.09)


def test_places_that_count_no_more_are_forgotten_while_late_asks_wait():
    lanes, stuck, busy = Lanes(), a_holding("stuck"), a_holding("busy")
    for tenant in ("a", "b"):
        late = waiting(1, inf, 1e9)
        late.ask = an_ask("late", tenant=tenant)
        lanes.push(late, stuck, SHAPE, short=False)
    now = 0.0
    for number in range(1000):
        for tenant in ("a", "b"):
            one = waiting(1, now + 10.0, now + 20.0)
            one.ask = an_ask(str(number), tenant=tenant)
            lanes.push(one, busy, SHAPE, short=False)
        for _ in range(2):
            lanes.take(lanes.next(short_only=False), now, 1)
        now += 0.01
    orders = [lane._order for lane in lanes._lanes.values()]  # noqa: SLF001  # nothing else shows it
    kept = [*lanes._long, *(each for order in orders for each in order)]  # noqa: SLF001  # as above
    assert len(kept) <= 3 * STALE
