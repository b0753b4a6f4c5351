"""What answers have taught is taken in between queries, where a decision would have to read it."""

import pytest

from edge_agent.clock import settle
from middle_tier.routing.renewed import Renewed
from middle_tier.scheduler.plan import choose
from middle_tier.scheduler.types import Policy
from tests.build import an_answer
from tests.middle_tier.fleet import a_demand, a_node, a_view, info


def a_site():
    view, renewed = a_view((a_node(), [info()])), Renewed()
    view.answered = renewed.soon
    groups = view.groups("digits")
    best = choose(a_demand(), groups, Policy(), now=0.0, seed=1).ranked[0]
    return view, groups, renewed, best


def answer(view, candidate, times=1):
    for step in range(times):
        view.sent(candidate, 1, 0.001 * step)
        view.observed(candidate, an_answer(variant=candidate.variant), 2.0, 0.001 * step)


@pytest.mark.parametrize("answers", [1, 5])
async def test_at_the_end_of_the_turn_the_rows_say_what_answers_have_taught(answers):
    view, groups, renewed, best = a_site()
    renewed.add(groups)
    answer(view, best, answers)
    assert "1 to settle" in repr(view.table.sums)
    await settle()
    assert "0 to settle" in repr(view.table.sums)
    assert "0 waiting" in repr(view._lessons)  # noqa: SLF001  # what a decision would learn first


async def test_where_the_plan_of_a_moment_ago_serves_again_nothing_is_taken_in():
    view, groups, renewed, best = a_site()
    renewed.add(groups)
    renewed.discard(groups)
    answer(view, best)
    await settle()
    assert "1 to settle" in repr(view.table.sums)


async def test_a_decision_is_the_same_whether_it_was_taken_in_before_or_not():
    plans = []
    for early in (True, False):
        view, groups, renewed, best = a_site()
        if early:
            renewed.add(groups)
        answer(view, best, 3)
        await settle()
        plans.append(choose(a_demand(), groups, Policy(), now=0.5, seed=2))
    assert plans[0] == plans[1]
