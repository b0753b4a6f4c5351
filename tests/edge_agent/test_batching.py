"""What runs together: in order of urgency, and nobody later than it may be."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.queue.batching import TURN_S, Waiting, next_batch, thriftiest
from tests.edge_agent.node import an_ask

numbers = st.integers(5, 40)
moments = st.integers(0, 10)
many = settings(max_examples=400)


def waiting(rows=1, due=100.0, deadline=None, *, percentile=99.0, alone=False, name="a"):
    return Waiting(
        ask=an_ask(name, rows=rows, percentile=percentile),
        buffers=(),
        reply="",
        rows=rows,
        arrived=0.0,
        due=due,
        deadline=due if deadline is None else deadline,
        predicted_ms=0.0,
        alone=alone,
    )


@st.composite
def queues(draw):
    """Asks sorted by `due`, as a lane holds them."""
    asks = []
    for number in range(draw(st.integers(0, 6))):
        due = float(draw(numbers))
        later = float(draw(st.integers(0, 30)))
        percentile = draw(st.sampled_from([50.0, 99.0]))
        alone = draw(st.integers(0, 9)) == 0
        asks.append(
            waiting(
                draw(st.integers(1, 3)),
                due,
                due + later,
                percentile=percentile,
                alone=alone,
                name=str(number),
            )
        )
    return sorted(asks, key=lambda each: each.due)


def a_profile_s(fixed, per_row):
    """Seconds for rows at a percentile: never falling in either."""
    return lambda rows, percentile: fixed + per_row * rows * (2.0 if percentile > 90 else 1.0)


in_any_order = queues().flatmap(st.permutations)
"""As several tenants' asks come: each tenant's by `due`, but not all of them."""

profiles = st.builds(a_profile_s, st.integers(0, 5), st.integers(0, 3))


@many
@given(in_any_order, moments, profiles, st.integers(1, 10))
def test_no_member_of_a_batch_is_late_by_the_profile_but_one_that_is_likely_in_time_alone(
    asks, now, run_s, max_rows
):
    batch = next_batch(asks, now=now, run_s=run_s, max_rows=max_rows)
    rows = sum(member.rows for member in batch.members)
    highest = max((member.ask.percentile for member in batch.members), default=0.0)
    finish = now + run_s(rows, highest if len(batch.members) > 1 else 50.0)
    assert all(finish <= member.due <= member.deadline for member in batch.members)
    assert rows <= max_rows or len(batch.members) <= 1
    assert len(batch.members) == 1 or not any(member.alone for member in batch.members)


@many
@given(queues(), moments, profiles, st.integers(1, 10))
def test_each_ask_looked_at_has_exactly_one_fate_and_the_order_is_kept(asks, now, run_s, max_rows):
    batch = next_batch(asks, now=now, run_s=run_s, max_rows=max_rows)
    fates = [*batch.members, *batch.late, *batch.postponed]
    assert len(fates) == batch.looked_at
    assert {id(each) for each in fates} == {id(each) for each in asks[: batch.looked_at]}
    places = [asks.index(member) for member in batch.members]
    assert places == sorted(places)


@many
@given(queues(), moments, profiles, st.integers(1, 10))
def test_only_what_cannot_finish_is_dropped_or_postponed(asks, now, run_s, max_rows):
    batch = next_batch(asks, now=now, run_s=run_s, max_rows=max_rows)
    for each in batch.late:
        assert now + run_s(each.rows, each.ask.percentile) > each.deadline
    for each in batch.postponed:
        assert each.due < now + run_s(each.rows, 50.0)
        assert now + run_s(each.rows, each.ask.percentile) <= each.deadline
    assert batch.looked_at or not asks


def test_what_is_in_time_more_often_than_not_runs_in_its_turn_and_alone():
    asks = [waiting(due=3.0, deadline=9.0), waiting(due=9.0)]
    batch = next_batch(asks, now=0.0, run_s=a_profile_s(0.0, 2.0), max_rows=32)
    assert batch == ((asks[0],), (), (), 1)


def test_as_many_as_are_in_time_run_together():
    asks = [waiting(due=4.0), waiting(due=9.0), waiting(due=9.0), waiting(due=9.0)]
    batch = next_batch(asks, now=0.0, run_s=lambda rows, _: 1.0 + rows, max_rows=32)
    assert list(batch.members) == asks[:3]


def made_for_eight(rows, _percentile):
    return 0.008 if rows == 1 else 0.036


def test_of_those_in_time_so_many_run_together_as_take_the_least_time_each():
    """Two in a batch of eight take longer than one after the other; five do not."""
    few = [waiting(name=str(number)) for number in range(4)]
    assert len(next_batch(few, now=0.0, run_s=made_for_eight, max_rows=8).members) == 1
    many_ = [waiting(name=str(number)) for number in range(6)]
    assert len(next_batch(many_, now=0.0, run_s=made_for_eight, max_rows=8).members) == 6


def test_what_comes_after_those_that_run_is_as_if_it_had_not_been_looked_at():
    asks = [waiting(due=0.001, deadline=9.0), waiting(), waiting(), waiting(due=0.001)]
    batch = next_batch(asks, now=0.0, run_s=made_for_eight, max_rows=8)
    assert (batch.members, batch.postponed, batch.late) == ((asks[1],), (asks[0],), ())
    assert batch.looked_at == 2


@many
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), profiles)
def test_no_other_number_of_the_first_asks_takes_less_time_a_row(rows, run_s):
    few = thriftiest(rows, run_s)
    shares = [
        (run_s(sum(rows[:size]), 50.0) + TURN_S) / sum(rows[:size])
        for size in range(1, len(rows) + 1)
    ]
    assert shares[few - 1] == min(shares)


def test_nobody_is_dropped_who_comes_after_those_that_run():
    asks = [waiting(due=inf, deadline=9.0), waiting(due=inf, deadline=9.0)]
    asks += [waiting(due=inf, deadline=0.001), waiting(due=inf, deadline=9.0)]
    batch = next_batch(asks, now=0.0, run_s=made_for_eight, max_rows=8)
    assert (batch.members, batch.late, batch.looked_at) == ((asks[0],), (), 1)
