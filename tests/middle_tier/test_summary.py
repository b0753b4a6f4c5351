from middle_tier.scheduler.plan import choose
from middle_tier.scheduler.types import Policy
from middle_tier.summary import OFFERS, Place, summarise
from middle_tier.view import View
from protocol.bundles import estimate
from tests.build import an_answer
from tests.middle_tier.fleet import a_demand, a_node, a_view, dollars_an_hour, info

HERE = Place(site="site-1", boot="b", sequence=3, link=estimate(40.0))


def planned(view, **changes):
    return choose(a_demand(**changes), view.groups("digits"), Policy(), now=0.0, seed=1)


def test_nodes_of_one_class_are_one_line():
    view = a_view(*((a_node(f"edge-{n}", queue_ms=5.0 * n), [info()]) for n in range(3)))
    summary = summarise(view, HERE, 0.0)
    (offer,) = summary.offers
    assert (offer.nodes, offer.queue_ms, offer.warm, summary.nodes) == (3, 0.0, True, {"edge": 3})


def test_warm_and_cold_are_two_lines_and_who_drains_is_none():
    view = a_view(
        (a_node("warm"), [info()]),
        (a_node("cold", loaded=()), [info()]),
        (a_node("drains", state="draining"), [info()]),
    )
    assert [offer.warm for offer in summarise(view, HERE, 0.0).offers] == [False, True]


def test_the_parent_predicts_what_the_site_does_plus_the_link():
    price = dollars_an_hour(0.5)
    view = a_view((a_node(queue_ms=4.0, link=estimate(2.0), mbps=80.0, price=price), [info()]))
    cloud = View("cloud", tier="cloud")
    cloud.summary(summarise(view, HERE, 0.0), 0.0)
    below, above = planned(view).ranked[0], planned(cloud).ranked[0]
    assert above.finish_ms == below.finish_ms + 40.0
    assert abs(above.cost_usd - below.cost_usd) < 1e-18
    assert above.scope == "site"


def test_what_answers_have_taught_is_passed_on():
    view = a_view((a_node(), [info(run_ms=10.0)]))
    for _ in range(30):
        view.observed(planned(view).ranked[0], an_answer(variant="mlp", run_ms=20.0), 20.0, 0.0)
    (offer,) = summarise(view, HERE, 0.0).offers
    assert 19.0 < offer.info.profile.runs[1].ms[0] <= 20.0


def test_a_task_has_so_many_lines_and_no_more_and_the_unbeaten_come_first():
    variants = [info(f"v{n}", 1.0 + n, accuracy=n / 400) for n in range(100)]
    wasteful = [info(f"w{n}", 500.0 + n, accuracy=0.001) for n in range(100)]
    loaded = [each.variant for each in (*variants, *wasteful)]
    view = a_view((a_node(loaded=loaded), [*variants, *wasteful]))
    offers = summarise(view, HERE, 0.0).offers
    assert len(offers) == OFFERS
    assert all(offer.info.variant.startswith("v") for offer in offers)
    accuracies = [offer.info.accuracy for offer in offers]
    assert max(accuracies) == 99 / 400
    assert min(accuracies) < 2 / 400
