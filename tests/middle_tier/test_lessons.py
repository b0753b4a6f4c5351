"""Answers are learnt from in batches, and no decision does without one that has come."""

import pytest

from middle_tier.scheduler.plan import choose
from middle_tier.scheduler.types import Policy
from middle_tier.sight.lessons import AT_ONCE, OFTEN_S
from tests.build import an_answer
from tests.middle_tier.fleet import a_demand, a_node, a_view, info


def planned(view, now=0.0):
    return choose(a_demand(), view.groups("digits"), Policy(), now=now, seed=1).ranked[0]


def answered(view, candidate, *, now=0.0, run_ms=4.0, link_ms=7.0):
    answer = an_answer(variant="mlp", run_ms=run_ms, held_ms=run_ms)
    view.observed(candidate, answer, run_ms + link_ms + candidate.transfer_ms, now)


def factor(view):
    return view.table.columns.factor.item(0)


def a_view_and_candidate():
    view = a_view((a_node(), [info(run_ms=2.0)]))
    candidate = planned(view)
    answered(view, candidate)
    assert factor(view) > 1.0, "after a quiet time an answer is learnt from at once"
    return view, candidate


def test_the_next_plan_knows_of_every_answer():
    view, candidate = a_view_and_candidate()
    before = planned(view)
    answered(view, candidate, run_ms=40.0, link_ms=9.0)
    after = planned(view)
    assert after.run_ms > before.run_ms
    assert after.link_ms > before.link_ms


@pytest.mark.parametrize(
    ("times", "now", "learnt"),
    [(1, 0.0, False), (AT_ONCE - 1, 0.0, False), (AT_ONCE, 0.0, True), (1, OFTEN_S, True)],
    ids=["one waits", "some wait", "many do not", "nor for long"],
)
def test_until_then_answers_wait(times, now, learnt):
    view, candidate = a_view_and_candidate()
    before = factor(view)
    for _ in range(times):
        answered(view, candidate, now=now)
    assert (factor(view) > before) is learnt


def test_many_together_teach_what_they_would_one_by_one():
    together, candidate = a_view_and_candidate()
    apart, _ = a_view_and_candidate()
    for run_ms in (1.0, 9.0, 4.0, 2.0):
        answered(together, candidate, run_ms=run_ms, link_ms=run_ms)
        answered(apart, candidate, run_ms=run_ms, link_ms=run_ms)
        apart.table.settle()
    assert planned(together).run_ms == planned(apart).run_ms
    assert planned(together).link_ms == pytest.approx(planned(apart).link_ms, rel=0.05, abs=0.02)


def test_the_queue_and_what_is_warm_are_known_at_once():
    view = a_view((a_node(loaded=()), [info(run_ms=2.0)]))
    candidate = planned(view)
    view.sent(candidate, 1, 0.0)
    answer = an_answer(variant="mlp", cold=True, queue_ms=30.0)
    view.observed(candidate, answer, 20.0, 0.0)
    member = view.table.sums.members[1]
    assert member.queue_ms(0.0) == 30.0
    assert planned(view).warm
