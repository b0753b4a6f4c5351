"""No plan ever breaks a policy's rules, checked rule by rule; and prices and preferences count."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.rules import PermitRule, WantRule, permit_of, want_of
from middle_tier.scheduler.types import Policy
from protocol.messages import Want
from tests.middle_tier.fleet import a_demand, a_node, a_summary, a_view, an_offer, info, live_groups
from tests.middle_tier.fleet import dollars_an_hour as usd
from tests.middle_tier.scheduler.test_properties import NOW, fleet, fleets

NAMES = ("clinic-1", "clinic-2", "shop", "*", "clinic-*", "?hop")
TIERS = st.lists(st.sampled_from(("edge", "middle", "cloud")), max_size=3, unique=True).map(tuple)
rules = st.lists(
    st.builds(
        PermitRule,
        tenant=st.sampled_from(NAMES),
        task=st.sampled_from(("*", "digits", "dig*", "faces")),
        tiers=st.none() | TIERS,
        sites=st.sampled_from((None, None, ("site-1",), ("site-[12]", "cloud"), ("site-3",), ())),
        leave_site=st.sampled_from((True, True, False)),
    ),
    max_size=4,
).map(tuple)
tenants = st.sampled_from(("clinic-1", "shop", "other"))


def planned(view, demand, policy):
    groups = view.groups("digits")
    yield choose(demand, groups, policy, now=NOW, seed=3)
    yield explain(demand, groups, policy, now=NOW, seed=3)


@given(fleets, rules, tenants, st.sampled_from(((), ("site-9",))), st.booleans())
def test_nothing_planned_breaks_a_permission(adverts, permit, tenant, hops, late):
    view = fleet(adverts)
    for site, tier in (("site-2", "edge"), ("site-3", "middle")):
        view.summary(a_summary(site, offers=(an_offer("small", tier=tier),)), NOW)
    policy = Policy(permit=permit, on_miss="fastest" if late else "refuse")
    demand = a_demand(1.0 if late else 500.0, permit=permit_of(permit, tenant, "digits"), hops=hops)
    for plan in planned(view, demand, policy):
        for each in (*plan.ranked, *plan.fallback):
            for rule in permit:
                if fnmatchcase(tenant, rule.tenant) and fnmatchcase("digits", rule.task):
                    check(rule, each, hops)
    full = explain(demand, view.groups("digits"), policy, now=NOW, seed=3)
    assert len(full.ranked) + len(full.rejected) == live_groups(view.groups("digits"))


def check(rule, candidate, hops):
    assert rule.tiers is None or candidate.tier in rule.tiers
    assert rule.sites is None or any(fnmatchcase(candidate.site, glob) for glob in rule.sites)
    assert rule.leave_site or (candidate.site == "site-1" and not hops)


@given(rules, tenants)
def test_no_rule_that_fits_leaves_everything_permitted(permit, tenant):
    fits = [r for r in permit if fnmatchcase(tenant, r.tenant) and fnmatchcase("digits", r.task)]
    assert (permit_of(permit, tenant, "digits") is None) == (not fits)


def test_each_rule_is_a_reason_of_its_own():
    view = a_view((a_node("edge-1"), [info()]))
    view.summary(a_summary("site-2"), 0.0)
    for rule, word in (
        (PermitRule(tiers=("cloud",)), "tier"),
        (PermitRule(sites=("site-2",)), "site not permitted"),
        (PermitRule(leave_site=False), "must not leave"),
    ):
        demand = a_demand(500.0, permit=permit_of([rule], "t", "digits"))
        plan = explain(demand, view.groups("digits"), Policy(permit=(rule,)), now=0.0, seed=1)
        assert any(word in line.reason for line in plan.rejected)


def test_a_policys_price_takes_the_place_of_the_nodes_own():
    cheap = a_node("a-1", hardware="pi", tier="edge", price=usd(0.01))
    dear = a_node("b-1", hardware="orin", tier="edge", price=usd(1.0))
    view = a_view((cheap, [info()]), (dear, [info()]))
    (before, *_), (after, *_) = (
        choose(a_demand(500.0), view.groups("digits"), policy, now=0.0, seed=1).ranked
        for policy in (
            Policy(),
            Policy.model_validate({"prices": [{"hardware": "pi", "usd_per_hour": 7.2}]}),
        )
    )
    assert (before.node, after.node) == ("a-1", "b-1")
    full = explain(
        a_demand(500.0), view.groups("digits"),
        Policy.model_validate({"prices": [{"hardware": "p*", "usd_per_hour": 3.6}]}),
        now=0.0, seed=1,
    )  # fmt: skip
    costs = {each.node: each.cost_usd for each in full.ranked}
    assert costs["a-1"] == pytest.approx(1e-6 * full.ranked[0].run_ms)


def test_accuracy_is_worth_what_the_policy_says_and_the_bill_stays_the_bill():
    node = a_node(loaded=("small", "large"), price=usd(3.6))
    view = a_view((node, [info("small", 1.0, accuracy=0.8), info("large", 2.0, accuracy=0.9)]))
    plans = [
        choose(a_demand(500.0), view.groups("digits"), policy, now=0.0, seed=1)
        for policy in (
            Policy(),
            Policy.model_validate({"prefer": {"usd_per_accuracy_point": 2e-7}}),
        )
    ]
    assert [plan.ranked[0].variant for plan in plans] == ["small", "large"]
    assert [plan.ranked[0].cost_usd for plan in plans] == pytest.approx([1e-6, 2e-6])


def test_energy_is_worth_what_the_policy_says():
    hungry = a_node("a-1", hardware="gpu", tier="edge")
    frugal = a_node("b-1", hardware="pi", tier="edge")
    view = a_view((hungry, [info()]), (frugal, [info()]))
    rules = [
        {"hardware": "gpu", "watts": 300, "usd_per_hour": 0.1},
        {"hardware": "pi", "watts": 5, "usd_per_hour": 0.11},
    ]
    policies = (
        Policy.model_validate({"prices": rules}),
        Policy.model_validate({"prices": rules, "prefer": {"usd_per_kwh": 1.0}}),
    )
    best = [
        choose(a_demand(500.0), view.groups("digits"), each, now=0.0, seed=1).ranked[0].node
        for each in policies
    ]
    assert best == ["a-1", "b-1"]


def test_a_want_gets_what_it_does_not_say_from_the_first_rule_that_does():
    rules = (
        WantRule(tenant="shop", percentile=95.0),
        WantRule(tenant="s*", latency_ms=50.0, percentile=50.0),
        WantRule(latency_ms=500.0, min_accuracy=0.5),
    )
    said = Want(task="digits", min_accuracy=0.9)
    found = want_of(rules, "shop", said)
    assert (found.latency_ms, found.percentile, found.min_accuracy) == (50.0, 95.0, 0.9)
    assert want_of(rules[:2], "other", said) is said
