"""What no plan may ever do, whatever the fleet and the want."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.admission import run_ms
from middle_tier.http.explained import COSTS, PARTS
from middle_tier.http.explained import explained as as_document
from middle_tier.scheduler import filters
from middle_tier.scheduler.plan import choose, choose_again, explain
from middle_tier.scheduler.types import Demand, Plan, Policy
from middle_tier.view import View
from protocol.adverts import Capacity
from protocol.bundles import estimate
from protocol.types import Latency, Profile
from tests.middle_tier.fleet import a_demand, a_node, add, dollars_an_hour, info, live_groups

ACCURACY = {"small": 0.8, "medium": 0.9, "large": 0.97}
SPEED = {"pi": 1.0, "orin": 4.0, "t4": 10.0}
TIER = {"pi": "edge", "orin": "middle", "t4": "cloud"}
PRICE = {"pi": 0.01, "orin": 0.1, "t4": 1.0}
BASE_MS = {"small": 4.0, "medium": 20.0, "large": 90.0}
NOW = 5.0


def infos_of(hardware: str):
    def spread(ms: float) -> Latency:
        return Latency(ms=(ms, 1.2 * ms, 1.3 * ms, 1.6 * ms, 2.5 * ms), count=50)

    return tuple(
        info(
            variant,
            accuracy=accuracy,
            profile=Profile(
                load_ms=30.0,
                memory_bytes=1,
                runs={
                    rows: spread(BASE_MS[variant] / SPEED[hardware] * (0.5 + 0.5 * rows))
                    for rows in (1, 8)
                },
                measured=True,
            ),
        )
        for variant, accuracy in ACCURACY.items()
    )


@st.composite
def nodes(draw: st.DrawFn) -> Capacity:
    hardware = draw(st.sampled_from(sorted(SPEED)))
    return a_node(
        "unnamed",
        hardware=hardware,
        tier=TIER[hardware],
        loaded=sorted(draw(st.sets(st.sampled_from(sorted(ACCURACY))))),
        state=draw(st.sampled_from(("ready", "ready", "ready", "draining", "leaving"))),
        queue_ms=draw(st.sampled_from((0.0, 0.0, 5.0, 60.0, 400.0))),
        link=estimate(draw(st.sampled_from((0.0, 2.0, 40.0)))),
        price=dollars_an_hour(PRICE[hardware]),
        period_s=1000.0,
    )


SEED = 7
"""Of more than four equals two are drawn: the same two for the same seed."""

fleets = st.lists(nodes(), min_size=1, max_size=10).map(
    lambda found: [each.model_copy(update={"node": f"n-{at}"}) for at, each in enumerate(found)]
)
demands = st.builds(
    a_demand,
    st.floats(1, 600),
    percentile=st.sampled_from((50.0, 73.0, 95.0, 99.0, 99.9, 99.95)),
    min_accuracy=st.sampled_from((0.0, 0.8, 0.85, 0.9, 0.95, 0.99)),
    max_cost_usd=st.sampled_from((None, None, 1e-7, 1e-9)),
    variant=st.sampled_from((None, None, None, "small")),
    architecture=st.sampled_from((None, None, None, "large")),
    rows=st.sampled_from((1, 3, 8, 20)),
    in_bytes=st.sampled_from((0, 100_000)),
    tiers=st.sampled_from((None, None, ("edge",), ("edge", "cloud"))),
    tried=st.sampled_from((frozenset(), frozenset({("site-1", "n-0")}))),
)
policies = st.builds(
    Policy,
    headroom=st.sampled_from((0.5, 0.9, 1.0)),
    on_miss=st.sampled_from(("refuse", "fastest")),
    tiers=st.sampled_from((None, None, ("edge", "middle"))),
    usd_per_gb=st.sampled_from(({}, {"edge-middle": 1.0, "middle-cloud": 2.0})),
)


def fleet(adverts: list[Capacity]) -> View:
    view = View("site-1")
    for advert in adverts:
        add(view, advert, infos_of(advert.hardware), NOW)
    return view


def chosen(view: View, demand: Demand, policy: Policy, seed: int = SEED) -> Plan:
    return choose(demand, view.groups("digits"), policy, now=NOW, seed=seed)


def explained(view: View, demand: Demand, policy: Policy) -> Plan:
    return explain(demand, view.groups("digits"), policy, now=NOW, seed=7)


@given(fleets, demands, policies)
def test_nothing_planned_breaks_the_want_or_the_policy(adverts, demand, policy):
    view = fleet(adverts)
    ready = {advert.node for advert in adverts if advert.state == "ready"}
    for plan in (chosen(view, demand, policy), explained(view, demand, policy)):
        for each in plan.ranked:
            assert each.finish_ms <= demand.budget_ms * policy.headroom
            check_kept(each, demand, policy, ready)
        for each in plan.fallback:
            check_kept(each, demand, policy, ready)
            assert policy.on_miss == "fastest"


def check_kept(each, demand, policy, ready):
    want = demand.want
    assert each.accuracy >= want.min_accuracy
    assert want.max_cost_usd is None or each.cost_usd <= want.max_cost_usd
    assert want.variant in (None, each.variant)
    assert want.architecture in (None, each.architecture)
    assert each.tier in (demand.tiers or each.tier)
    assert each.tier in (policy.tiers or each.tier)
    assert each.node in ready
    assert (each.site, each.node) not in demand.tried


@given(fleets, demands, policies)
def test_every_group_is_ranked_or_counted_with_a_reason(adverts, demand, policy):
    view = fleet(adverts)
    live = live_groups(view.groups("digits"))
    plan = chosen(view, demand, policy)
    ranked = {(each.variant, each.hardware, each.warm) for each in plan.ranked}
    assert len(ranked) + sum(plan.counts.values()) == live
    full = explained(view, demand, policy)
    assert len(full.ranked) + len(full.rejected) == live
    assert sum(full.counts.values()) == len(full.rejected)


@given(fleets, demands, policies)
def test_what_is_explained_adds_up_for_those_in_and_those_out(adverts, demand, policy):
    document = as_document(demand.want, explained(fleet(adverts), demand, policy))
    for line in (*document["ranked"], *document["fallback"], *document["rejected"]):
        if line["finish_ms"] is not None:
            assert sum(line[part] for part in PARTS) == pytest.approx(line["finish_ms"], abs=0.01)
        assert sum(line[part] for part in COSTS) == pytest.approx(line["cost_usd"])
    assert all(line["reason"] for line in document["rejected"])


@given(fleets, demands, policies)
def test_a_plan_and_its_explanation_agree(adverts, demand, policy):
    view = fleet(adverts)
    plan, full = chosen(view, demand, policy), explained(view, demand, policy)
    assert plan.ranked[:1] == full.ranked[:1]
    assert bool(plan.fallback) == bool(full.fallback)
    counts = dict(plan.counts)
    lower = counts.pop(filters.RANKED_LOWER, 0)
    ranked = {(each.variant, each.hardware, each.warm) for each in plan.ranked}
    assert len(full.ranked) + sum(full.counts.values()) == (
        len(ranked) + lower + sum(counts.values())
    )


@given(fleets, demands, policies)
def test_the_best_is_the_cheapest_of_all_that_fit(adverts, demand, policy):
    """Against a planner without columns, bounds or draws: every node, every variant, in a loop."""
    plan = chosen(fleet(adverts), demand, policy)
    surely = by_brute_force(adverts, demand, policy, 1 - 1e-9)
    if by_brute_force(adverts, demand, policy, 1 + 1e-9) is None:
        assert not plan.ranked
    elif surely is not None:
        best = plan.ranked[0]
        assert best.cost_usd <= surely * (1 + 1e-9)
        parts = best.link_ms + best.transfer_ms + best.queue_ms + best.cold_ms + best.run_ms
        assert abs(best.finish_ms - parts) < 1e-6


def by_brute_force(adverts, demand, policy, slack):
    costs = []
    want, nbytes = demand.want, demand.in_bytes + demand.out_bytes
    for advert in adverts:
        gb = (
            nbytes
            / 1e9
            * policy.usd_per_gb.get(
                {"edge": "edge-middle", "cloud": "middle-cloud"}.get(advert.tier), 0.0
            )
        )
        for each in infos_of(advert.hardware):
            loaded = each.variant in {entry.variant for entry in advert.loaded}
            finish = (
                advert.link.at(want.percentile)
                + nbytes / (advert.mbps * 125.0)
                + advert.queue_ms
                + (0.0 if loaded else each.profile.load_ms)
                + run_ms(each.profile, demand.rows, want.percentile)
            )
            cost = advert.price.usd_per_busy_ms * run_ms(each.profile, demand.rows, 50.0) + gb
            fits = (
                advert.state == "ready"
                and advert.tier in (demand.tiers or (advert.tier,))
                and advert.tier in (policy.tiers or (advert.tier,))
                and ("site-1", advert.node) not in demand.tried
                and want.variant in (None, each.variant)
                and want.architecture in (None, each.architecture)
                and each.accuracy >= want.min_accuracy
                and finish <= demand.budget_ms * policy.headroom * slack
                and (want.max_cost_usd is None or cost <= want.max_cost_usd * slack)
            )
            if fits:
                costs.append(cost)
    return min(costs, default=None)


@given(fleets, demands, policies, st.floats(1.0, 5.0))
def test_more_time_never_costs_more(adverts, demand, policy, longer):
    """Where nobody was crowded out: else loose wants pay for the queue (planner's decision 20)."""
    view = fleet(adverts)
    plan = chosen(view, demand, policy)
    if plan.ranked:
        relaxed = chosen(view, demand._replace(budget_ms=demand.budget_ms * longer), policy)
        assert relaxed.ranked[0].cost_usd <= plan.ranked[0].cost_usd


@given(fleets, nodes(), demands, policies)
def test_one_more_node_never_worsens_the_best(adverts, another, demand, policy):
    plan = chosen(fleet(adverts), demand, policy)
    more = chosen(fleet([*adverts, another.model_copy(update={"node": "new"})]), demand, policy)
    if plan.ranked:
        assert more.ranked[0].cost_usd <= plan.ranked[0].cost_usd


@given(st.lists(nodes(), min_size=1, max_size=3), nodes(), demands, policies)
def test_in_a_small_fleet_one_more_node_never_makes_the_best_later(
    adverts, another, demand, policy
):
    adverts = [each.model_copy(update={"node": f"n-{at}"}) for at, each in enumerate(adverts)]
    plan = chosen(fleet(adverts), demand, policy)
    more = chosen(fleet([*adverts, another.model_copy(update={"node": "new"})]), demand, policy)
    if plan.ranked:
        before, after = plan.ranked[0], more.ranked[0]
        assert (after.cost_usd, after.finish_ms) <= (before.cost_usd, before.finish_ms)


@settings(max_examples=30)
@given(fleets, demands, policies, st.integers(0, 2**63))
def test_the_same_seed_gives_the_same_plan(adverts, demand, policy, seed):
    one, other = fleet(adverts), fleet(adverts)
    assert chosen(one, demand, policy, seed) == chosen(other, demand, policy, seed)


@given(fleets, demands, policies)
def test_who_is_picked_again_is_as_good_as_who_was_planned(adverts, demand, policy):
    view = fleet(adverts)
    plan = chosen(view, demand, policy)
    if plan.cheapest:
        groups = view.groups(demand.want.task)
        again = choose_again(demand, groups, policy, plan, now=NOW, seed=SEED).ranked[0]
        best = plan.ranked[0]
        assert (again.cost_usd, again.finish_ms) == (best.cost_usd, best.finish_ms)
