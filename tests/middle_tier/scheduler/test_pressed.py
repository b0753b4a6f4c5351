"""A demand that is late behind all queued work may be in time before what is due later."""

from middle_tier.scheduler.members import DUES, due_class
from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.types import Policy
from tests.middle_tier.fleet import a_demand, a_node, a_view, dollars_an_hour, info


def planned(view, demand, **changes):
    return choose(demand, view.groups("digits"), Policy(**changes), now=0.0, seed=1)


def filled(view, budget_ms, times):
    """Send it demands that it ranks, and say who was asked."""
    for _ in range(times):
        best = planned(view, a_demand(budget_ms)).ranked[0]
        view.sent(best, 1, 0.0)
    return best


def test_a_tight_demand_passes_loose_ones():
    view = a_view((a_node(), [info(run_ms=20.0)]))
    filled(view, 1000.0, 5)
    plan = planned(view, a_demand(50.0))
    assert not plan.ranked
    assert [(each.queue_ms, each.run_ms) for each in plan.pressed] == [(0.0, 20.0)]
    assert plan.pressed[0].finish_ms <= 45.0


def test_it_does_not_pass_what_is_as_urgent():
    view = a_view((a_node(), [info(run_ms=20.0)]))
    filled(view, 50.0, 2)
    assert not planned(view, a_demand(50.0)).pressed


def test_it_does_not_pass_what_others_have_sent():
    view = a_view((a_node(queue_ms=500.0), [info(run_ms=20.0)]))
    assert not planned(view, a_demand(50.0)).pressed


def test_what_is_answered_is_not_passed_again():
    view = a_view((a_node(), [info(run_ms=20.0)]))
    sent = filled(view, 1000.0, 3)
    for _ in range(3):
        view.abandoned(sent, 1, 0.0)
    view.advert(a_node(queue_ms=500.0, sequence=2), 0.0)
    assert not planned(view, a_demand(50.0)).pressed


def test_of_those_that_may_be_passed_the_cheapest_is_first():
    dear = a_node("dear", hardware="gpu", price=dollars_an_hour(5.0))
    view = a_view((a_node(), [info(run_ms=20.0)]), (dear, [info(run_ms=20.0)]))
    for _ in range(80):
        view.sent(planned(view, a_demand(1000.0)).ranked[0], 1, 0.0)
    plan = planned(view, a_demand(50.0))
    assert [each.node for each in plan.pressed] == ["edge-1", "dear"]
    assert (
        plan.pressed
        == explain(a_demand(50.0), view.groups("digits"), Policy(), now=0.0, seed=1).pressed
    )


def test_a_node_that_has_refused_and_a_price_that_is_too_high_are_left_out():
    view = a_view((a_node(price=dollars_an_hour(1.0)), [info(run_ms=20.0)]))
    filled(view, 1000.0, 5)
    assert not planned(view, a_demand(50.0, tried=frozenset({("site-1", "edge-1")}))).pressed
    assert not planned(view, a_demand(50.0, max_cost_usd=0.0)).pressed


def test_classes_of_times_rise_and_the_last_has_all_that_is_late():
    times = (0.5, 1.0, 50.0, 100.0, 450.0, 65_000.0, 1e9, float("inf"))
    assert [due_class(ms) for ms in times] == [0, 1, 6, 7, 9, 16, DUES - 1, DUES - 1]


def test_what_was_sent_although_it_is_late_stands_before_nobody():
    view = a_view((a_node(), [info(run_ms=20.0)]))
    late = planned(view, a_demand(5.0), on_miss="fastest").fallback[0]
    view.sent(late, 1, 0.0)
    assert planned(view, a_demand(50.0)).ranked[0].queue_ms == 0.0
    view.abandoned(late, 1, 0.0)
    assert planned(view, a_demand(50.0)).ranked[0].queue_ms == 0.0


def test_a_node_that_others_fill_may_be_in_time_for_a_tenant_within_its_share():
    view = a_view((a_node(queue_ms=500.0), [info(run_ms=20.0)]))
    plan = planned(view, a_demand(50.0))
    assert [(each.queue_ms, each.finish_ms) for each in plan.within] == [(0.0, 20.0)]
    assert not planned(view, a_demand(15.0)).within
    explained = explain(a_demand(50.0), view.groups("digits"), Policy(), now=0.0, seed=1)
    assert explained.within == plan.within


def test_nobody_s_share_is_claimed_where_somebody_is_in_time_anyway():
    view = a_view((a_node(), [info(run_ms=20.0)]))
    assert not planned(view, a_demand(50.0)).within
    filled(view, 1000.0, 5)
    plan = planned(view, a_demand(50.0))
    assert plan.pressed
    assert not plan.within
