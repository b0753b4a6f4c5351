"""A plan is used again for a moment: the cheapest groups stand, who of them is asked does not."""

import pytest

from middle_tier.routing.recent import KEEP_S, SAME_S, SLIGHT, Recent
from middle_tier.scheduler.plan import choose, choose_again
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy
from tests.build import a_want
from tests.middle_tier.fleet import a_demand as a_digits_demand
from tests.middle_tier.fleet import a_node, a_view, dollars_an_hour, info


def a_candidate(node="edge-1", **changes):
    fields = {
        "variant": "v", "architecture": "a", "accuracy": 0.9, "format": "table", "hardware": "h",
        "site": "s", "node": node, "tier": "edge", "warm": True, "scope": "node",
        "link_ms": 0.0, "transfer_ms": 0.0, "queue_ms": 0.0, "cold_ms": 0.0, "run_ms": 10.0,
        "finish_ms": 10.0, "cost_usd": 1.0, "marginal_ms": 10.0,
        "worth_usd": 1.0,
    }  # fmt: skip
    return Candidate(**{**fields, **changes})


def a_demand(**changes):
    return Demand(**{"want": a_want(), "budget_ms": 100.0, **changes})


class Planner:
    """Makes plans of one candidate; `again` counts how often one was used again."""

    def __init__(self, *, alike=((0, 1.0),), fits=True, run_ms=10.0):
        self.run_ms = run_ms
        self.made = 0
        self.again = 0
        self.alike = alike
        self.fits = fits

    def choose(self, _):
        self.made += 1
        return Plan((a_candidate(marginal_ms=self.run_ms),), {}, cheapest=self.alike)

    def choose_again(self, _, plan):
        self.again += 1
        return plan if self.fits else None

    def recent(self):
        return Recent(self.choose, self.choose_again)


def plans(recent, times, now=0.0, **changes):
    return [recent.plan(a_demand(**changes), now) for _ in range(times)]


def test_a_plan_of_a_moment_ago_is_used_again():
    planner = Planner()
    plans(planner.recent(), 5, now=KEEP_S / 2)
    assert (planner.made, planner.again) == (1, 4)


def test_a_pick_holds_while_what_was_sent_is_too_little_to_matter():
    planner = Planner(run_ms=SLIGHT * 100.0 / 3.5)  # the pick's own, and three more
    plans(planner.recent(), 9)
    assert (planner.made, planner.again) == (1, 2)
    plans(planner.recent(), 9, budget_ms=1000.0)
    assert (planner.made, planner.again) == (2, 2)


def test_a_pick_does_not_hold_for_long():
    planner = Planner(run_ms=0.0)
    recent = planner.recent()
    plans(recent, 3, now=0.0)
    plans(recent, 3, now=SAME_S)
    assert (planner.made, planner.again) == (1, 1)


def test_a_plan_of_long_ago_is_not_used():
    planner = Planner()
    recent = planner.recent()
    plans(recent, 1)
    plans(recent, 1, now=KEEP_S)
    assert (planner.made, planner.again) == (2, 0)


def test_a_plan_that_does_not_fit_any_more_is_made_anew():
    planner = Planner(fits=False)
    plans(planner.recent(), 3)
    assert (planner.made, planner.again) == (3, 2)


def test_a_plan_without_alike_groups_is_used_once():
    planner = Planner(alike=())
    plans(planner.recent(), 3)
    assert (planner.made, planner.again) == (3, 0)


def a_crowd(nodes=3, **changes):
    """Nodes that are alike, and a dearer one."""
    price = {"price": dollars_an_hour(0.1)}
    dear = a_node("dear", hardware="fast", price=dollars_an_hour(9.0))
    alike = [a_node(f"edge-{number}", hardware="pi", **price) for number in range(nodes)]
    infos = [info(run_ms=10.0, **changes)]
    return a_view(*((node, infos) for node in (*alike, dear)))


def picked(view, plan, demand, now=0.0, seed=1):
    groups = view.groups("digits")
    return choose_again(demand, groups, Policy(), plan, now=now, seed=seed)


def test_alike_nodes_share_what_is_planned_once():
    view, demand = a_crowd(), a_digits_demand(100.0)
    plan = choose(demand, view.groups("digits"), Policy(), now=0.0, seed=1)
    shares = {}
    for seed in range(9):
        again = picked(view, plan, demand, seed=seed).ranked[0]
        view.sent(again, 1, 0.0)
        shares[again.node] = shares.get(again.node, 0) + 1
    assert shares == {"edge-0": 3, "edge-1": 3, "edge-2": 3}


def test_picked_again_is_what_a_new_plan_would_choose():
    view, demand = a_crowd(), a_digits_demand(100.0)
    groups = view.groups("digits")
    plan = choose(demand, groups, Policy(), now=0.0, seed=1)
    for seed in range(20):
        again = picked(view, plan, demand, now=0.001, seed=seed)
        assert again == choose(demand, groups, Policy(), now=0.001, seed=seed)
        view.sent(again.ranked[0], 1, 0.001)


def test_when_all_alike_are_full_nobody_is_picked_again():
    view, demand = a_crowd(1), a_digits_demand(50.0)
    plan = choose(demand, view.groups("digits"), Policy(), now=0.0, seed=1)
    for _ in range(4):
        again = picked(view, plan, demand)
        assert again.ranked[0].finish_ms <= 45.0
        view.sent(again.ranked[0], 1, 0.0)
    assert picked(view, plan, demand) is None


def test_a_plan_with_a_load_is_not_to_be_used_again():
    view = a_view((a_node(loaded=()), [info()]))
    plan = choose(a_digits_demand(), view.groups("digits"), Policy(), now=0.0, seed=1)
    assert plan.ranked
    assert plan.cheapest == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"want": a_want(min_accuracy=0.5)}, {"want": a_want(percentile=95.0)}, {"rows": 2},
        {"budget_ms": 50.0}, {"tiers": ("cloud",)}, {"hops": ("x",)}, {"in_bytes": 1},
        {"want": a_want(variant="v")}, {"want": a_want(architecture="a")},
        {"want": a_want(max_cost_usd=1.0)}, {"want": a_want("faces")},
        {"tried": frozenset({("s", "edge-1")})}, {"out_bytes": 1},
    ],
)  # fmt: skip
def test_another_kind_of_demand_has_its_own_plan(changes):
    planner = Planner()
    recent = planner.recent()
    plans(recent, 1)
    plans(recent, 1, **changes)
    assert planner.made == 2


def test_after_a_surprise_everything_is_planned_anew():
    planner = Planner()
    recent = planner.recent()
    plans(recent, 1)
    recent.forget()
    plans(recent, 1)
    assert planner.made == 2
