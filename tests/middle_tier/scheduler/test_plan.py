from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.types import Policy
from protocol.adverts import Loaded
from protocol.bundles import estimate
from protocol.types import Latency
from tests.middle_tier.fleet import (
    a_demand,
    a_node,
    a_summary,
    a_view,
    an_offer,
    dollars_an_hour,
    info,
)

CHEAP, DEAR = dollars_an_hour(0.01), dollars_an_hour(1.0)
SMALL, LARGE = info("small", 1.0, accuracy=0.8), info("large", 10.0, accuracy=0.97)


def planned(view, demand, policy=None, *, now=0.0, seed=1):
    return choose(demand, view.groups("digits"), policy or Policy(), now=now, seed=seed)


def explained(view, demand, policy=None, *, now=0.0):
    return explain(demand, view.groups("digits"), policy or Policy(), now=now, seed=1)


def two_tiers():
    edge = a_node("edge-1", loaded=("small", "large"), hardware="pi", price=CHEAP)
    far = estimate(40.0)
    cloud = a_node(
        "cloud-1", loaded=("small", "large"), hardware="t4", tier="cloud", price=DEAR, link=far
    )
    fast = (info("small", 0.1, accuracy=0.8), info("large", 1.0, accuracy=0.97))
    return a_view((edge, (SMALL, LARGE)), (cloud, fast))


def test_a_relaxed_want_is_served_by_the_cheapest():
    best = planned(two_tiers(), a_demand(100)).ranked[0]
    assert (best.node, best.variant) == ("edge-1", "small")


def test_a_higher_accuracy_raises_the_variant():
    best = planned(two_tiers(), a_demand(100, min_accuracy=0.9)).ranked[0]
    assert (best.node, best.variant) == ("edge-1", "large")


def test_a_queue_at_the_edge_moves_the_query_to_another_tier():
    view = two_tiers()
    view.advert(a_node("edge-1", loaded=("small", "large"), hardware="pi", price=CHEAP,
                       queue_ms=500.0, sequence=2), 0.0)  # fmt: skip
    assert planned(view, a_demand(100)).ranked[0].node == "cloud-1"


def test_a_queue_is_worked_off_as_time_goes_by():
    view = a_view((a_node(queue_ms=500.0), [info()]))
    assert not planned(view, a_demand(100), now=0.0).ranked
    assert planned(view, a_demand(100), now=0.45).ranked[0].queue_ms == 50.0


def test_of_equals_the_one_with_more_slack_is_first():
    slow = a_node("slow", link=estimate(9.0), hardware="a")
    view = a_view((slow, [info()]), (a_node("near", hardware="b"), [info()]))
    assert [each.node for each in planned(view, a_demand()).ranked] == ["near", "slow"]


def test_the_percentile_of_the_want_is_the_one_predicted():
    spread = Latency(ms=(1, 10, 20, 30, 40), count=9)
    view = a_view(
        (a_node(), [info(profile=info().profile.model_copy(update={"runs": {1: spread}}))])
    )
    found = [planned(view, a_demand(percentile=p)).ranked[0].run_ms for p in (50, 95, 99.9)]
    assert found == [1.0, 20.0, 40.0]


def test_the_only_group_names_a_second_member_to_turn_to():
    view = a_view((a_node("edge-1"), [info()]), (a_node("edge-2"), [info()]))
    ranked = planned(view, a_demand()).ranked
    assert {each.node for each in ranked} == {"edge-1", "edge-2"}


def test_seeds_spread_queries_over_equal_nodes():
    view = a_view(*((a_node(f"edge-{n}"), [info()]) for n in range(12)))
    firsts = {planned(view, a_demand(), seed=seed).ranked[0].node for seed in range(60)}
    assert len(firsts) == 12


def test_two_choices_avoid_a_busy_node():
    nodes = [(a_node(f"edge-{n}", queue_ms=20.0 if n % 2 else 0.0), [info()]) for n in range(12)]
    view = a_view(*nodes)
    queues = [planned(view, a_demand(), seed=seed).ranked[0].queue_ms for seed in range(200)]
    assert queues.count(0.0) > 140


def test_the_one_idle_node_of_a_saturated_class_is_found():
    nodes = [(a_node(f"edge-{n}", queue_ms=500.0), [info()]) for n in range(15)]
    view = a_view(*nodes, (a_node("idle"), [info()]))
    assert {planned(view, a_demand(), seed=s).ranked[0].node for s in range(20)} == {"idle"}


def test_a_node_that_is_loading_is_asked_rather_than_another_made_to_load():
    slow_load = [info(load_ms=1000.0)]
    loading = a_node("edge-2", loaded=())
    view = a_view((a_node("edge-1", loaded=()), slow_load), (loading, slow_load))
    entry = Loaded(variant="mlp", state="loading")
    view.advert(loading.model_copy(update={"loaded": (entry,), "sequence": 2}), 0.0)
    best = planned(view, a_demand(500), now=0.8).ranked[0]
    assert (best.node, best.warm, round(best.cold_ms)) == ("edge-2", False, 200)


def test_bytes_cost_what_the_policy_says_of_the_borders_they_pass():
    view = two_tiers()
    free = explained(view, a_demand(in_bytes=10**6)).ranked
    priced = explained(
        view, a_demand(in_bytes=10**6), Policy(usd_per_gb={"middle-cloud": 1.0})
    ).ranked

    def cloud(ranked):
        return next(each.cost_usd for each in ranked if each.tier == "cloud" and each.warm)

    assert abs(cloud(priced) - cloud(free) - 1e-3) < 1e-12


def test_what_is_impossible_says_what_could_be_had():
    plan = planned(two_tiers(), a_demand(5, min_accuracy=0.9))
    assert not plan.ranked
    assert plan.fastest_ms == 10.0
    assert plan.best_accuracy == 0.8


def test_what_would_do_but_for_its_cost_says_what_the_cheapest_costs():
    least = min(each.cost_usd for each in explained(two_tiers(), a_demand(100)).ranked)
    plan = planned(two_tiers(), a_demand(100, max_cost_usd=least / 2))
    assert (plan.ranked, plan.cheapest_usd) == ((), least)
    assert (
        planned(two_tiers(), a_demand(5, max_cost_usd=0.0, min_accuracy=0.9)).cheapest_usd is None
    )
    assert planned(two_tiers(), a_demand(5, min_accuracy=0.9)).cheapest_usd is None


def test_on_a_miss_the_policy_may_take_the_fastest():
    policy = Policy(on_miss="fastest")
    plan = planned(two_tiers(), a_demand(5, min_accuracy=0.9), policy)
    assert not plan.ranked
    assert plan.fallback[0].node == "edge-1"
    assert plan.fallback[0].finish_ms == 10.0


def test_every_rejected_group_has_its_reason():
    view = a_view(
        (a_node("ok", loaded=("small", "large")), (SMALL, LARGE)),
        (a_node("drains", loaded=("small",), state="draining"), (SMALL, LARGE)),
        (a_node("far", loaded=("large",), hardware="t4", tier="cloud", link=estimate(300.0)),
         (SMALL, LARGE)),
    )  # fmt: skip
    plan = explained(view, a_demand(100, min_accuracy=0.9))
    found = {(line.hardware, line.variant, line.warm): line.reason for line in plan.rejected
             if line.reason != "draining"}  # fmt: skip
    assert found == {
        ("x86-64-2c", "small", True): "accuracy below the want's",
        ("t4", "small", False): "accuracy below the want's",
        ("t4", "large", True): "too slow",
    }
    assert plan.counts["draining"] == 2
    line = next(line for line in plan.rejected if line.reason == "too slow")
    assert (line.finish_ms, line.nodes) == (310.0, 1)


def test_a_site_below_is_a_candidate_with_its_uplink_in_the_prediction():
    view = a_view((a_node(queue_ms=900.0), [info()]))
    view.summary(a_summary(), 0.0)
    best = planned(view, a_demand(100)).ranked[0]
    assert (best.scope, best.site, best.node, best.link_ms) == ("site", "site-2", "site-2", 41.0)


def test_a_site_already_passed_is_not_gone_back_to():
    view = a_view((a_node(queue_ms=900.0), [info()]))
    view.summary(a_summary(), 0.0)
    plan = planned(view, a_demand(100, hops=("site-2",)))
    assert not plan.ranked
    assert plan.counts["site already passed"] == 1


def test_an_offer_that_is_gone_from_the_summary_is_gone_from_the_plan():
    view = a_view((a_node(queue_ms=900.0), [info()]))
    view.summary(a_summary(offers=(an_offer(), an_offer("cnn"))), 0.0)
    view.summary(a_summary(offers=(an_offer("cnn"),), sequence=2), 1.0)
    ranked = explained(view, a_demand(100), now=1.0).ranked
    assert [each.variant for each in ranked if each.scope == "site"] == ["cnn"]


def test_many_equal_prices_still_give_the_fastest():
    variants = [info(f"v{n}", 1.0 + (n * 37 % 101), accuracy=0.9) for n in range(100)]
    free = a_node(loaded=[each.variant for each in variants])
    assert planned(a_view((free, variants)), a_demand(1000)).ranked[0].run_ms == 1.0


def test_a_tenant_permitted_nowhere_gets_no_candidate():
    assert planned(two_tiers(), a_demand(100, tiers=())).ranked == ()


def test_a_tenant_gets_candidates_of_its_tiers_only():
    found = planned(two_tiers(), a_demand(1000, tiers=("cloud",))).ranked
    assert {candidate.tier for candidate in found} == {"cloud"}
