"""Who crowds others out pays for the queue there: in the order of candidates, on no bill."""

from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.tolls import LASTS_MS
from middle_tier.scheduler.types import Policy
from tests.middle_tier.fleet import a_demand, a_node, a_view, dollars_an_hour, info

LOOSE, TIGHT = a_demand(1000.0), a_demand(50.0)
AFTER = LASTS_MS / 1000.0 + 0.1


def two_nodes(queue_ms=60.0):
    """`fast` is the cheapest for everything, and alone meets the tight."""
    return a_view(
        (
            a_node("fast", hardware="gpu", queue_ms=queue_ms, price=dollars_an_hour(1.0)),
            [info(run_ms=20.0)],
        ),
        (a_node("slow", hardware="pi", price=dollars_an_hour(0.3)), [info(run_ms=100.0)]),
    )


def planned(view, demand, now=0.0):
    return choose(demand, view.groups("digits"), Policy(), now=now, seed=1)


def crowd_out(view, demand=TIGHT, now=0.0):
    """Have a demand planned that finds nobody, as a router does."""
    plan = planned(view, demand, now)
    assert not plan.ranked
    view.table.tolls.note(plan.crowded, now)
    return plan


def chosen(view, demand=LOOSE, now=0.0):
    return planned(view, demand, now).ranked[0]


def test_until_somebody_is_crowded_out_the_cheapest_is_taken_whatever_waits_there():
    assert chosen(two_nodes()).node == "fast"


def test_who_can_run_elsewhere_leaves_the_node_to_those_who_cannot():
    view = two_nodes()
    assert crowd_out(view).crowded.hardware == "gpu"
    assert chosen(view).node == "slow"


def test_the_toll_is_on_no_bill():
    view = two_nodes()
    before = {each.node: each.cost_usd for each in explained(view)}
    crowd_out(view)
    assert {each.node: each.cost_usd for each in explained(view)} == before


def explained(view):
    return explain(LOOSE, view.groups("digits"), Policy(), now=0.0, seed=1).ranked


def test_it_is_paid_for_the_queue_and_ends_with_it():
    view = two_nodes()
    crowd_out(view)
    assert chosen(view, now=0.0599).node == "fast"


def test_it_is_paid_only_where_somebody_was_crowded_out():
    view = two_nodes()
    view.advert(a_node("slow", hardware="pi", queue_ms=60.0, sequence=2), 0.0)
    crowd_out(view)
    fast, slow = sorted(explained(view), key=lambda each: each.node)
    assert fast.worth_usd > fast.cost_usd
    assert slow.worth_usd == slow.cost_usd


def test_it_is_forgotten_when_nobody_is_crowded_out_for_a_while():
    view = two_nodes(queue_ms=AFTER * 1000.0 + 60.0)
    crowd_out(view, TIGHT)
    assert chosen(view, a_demand(9000.0)).node == "slow"
    assert chosen(view, a_demand(9000.0), now=AFTER).node == "fast"


def test_who_could_have_been_served_by_either_of_two_pools_is_crowded_out_of_none():
    view = two_nodes()
    view.advert(a_node("slow", hardware="pi", queue_ms=900.0, sequence=2), 0.0)
    view.advert(a_node("fast", hardware="gpu", queue_ms=900.0, sequence=2), 0.0)
    assert crowd_out(view, a_demand(300.0)).crowded is None


def test_nor_is_who_has_lost_time_or_somebody_to_ask_since_it_came():
    view = two_nodes()
    late = TIGHT._replace(budget_ms=40.0)
    assert crowd_out(view, late).crowded is None
    elsewhere = TIGHT._replace(tried=frozenset({("site-1", "slow")}))
    assert crowd_out(view, elsewhere).crowded is None


def test_who_would_be_late_even_alone_was_not_crowded_out():
    view = two_nodes()
    assert crowd_out(view, a_demand(10.0)).crowded is None
    assert chosen(view).node == "fast"


def test_bytes_cost_what_they_do_however_long_the_queue_is():
    view = a_view(
        (
            a_node("near", queue_ms=60.0, price=dollars_an_hour(1.0)),
            [info(run_ms=20.0)],
        ),
    )
    crowd_out(view)
    demand = a_demand(1000.0, in_bytes=1_000_000)
    policy = Policy(usd_per_gb={"edge-middle": 100.0})
    one = choose(demand, view.groups("digits"), policy, now=0.0, seed=1).ranked[0]
    run_usd = one.cost_usd - 0.1
    assert abs(one.worth_usd - one.cost_usd - 6.0 * run_usd) < 1e-9
