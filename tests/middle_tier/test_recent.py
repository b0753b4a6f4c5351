"""A plan is used again only while it is certain that a new one would choose the same."""

import pytest

from middle_tier.routing.recent import KEEP_S, Recent
from middle_tier.scheduler.types import Candidate, Demand, Plan
from tests.build import a_want


def a_candidate(node="edge-1", **changes):
    fields = {
        "variant": "v", "architecture": "a", "accuracy": 0.9, "format": "table", "hardware": "h",
        "site": "s", "node": node, "tier": "edge", "warm": True, "scope": "node",
        "link_ms": 0.0, "transfer_ms": 0.0, "queue_ms": 0.0, "cold_ms": 0.0, "run_ms": 10.0,
        "finish_ms": 10.0, "cost_usd": 1.0, "marginal_ms": 10.0,
    }  # fmt: skip
    return Candidate(**{**fields, **changes})


def a_demand(**changes):
    return Demand(**{"want": a_want(), "budget_ms": 100.0, **changes})


class Planner:
    def __init__(self, *ranked):
        self.made = 0
        self.ranked = ranked

    def __call__(self, _):
        self.made += 1
        return Plan(self.ranked, {})


def nodes(recent, times, now=0.0, **changes):
    plans = [recent.plan(a_demand(**changes), within_ms=45.0, now=now) for _ in range(times)]
    return [(plan.ranked[0].node, plan.ranked[0].finish_ms) for plan in plans]


def test_each_use_is_behind_the_one_before_and_in_time():
    planner = Planner(a_candidate(), a_candidate("edge-2", cost_usd=2.0))
    assert nodes(Recent(planner), 5) == [("edge-1", ms) for ms in (10.0, 20.0, 30.0, 40.0, 10.0)]
    assert planner.made == 2


def test_a_plan_of_long_ago_is_not_used():
    planner = Planner(a_candidate())
    recent = Recent(planner)
    nodes(recent, 1)
    nodes(recent, 1, now=KEEP_S)
    assert planner.made == 2


@pytest.mark.parametrize(
    "ranked",
    [(a_candidate(), a_candidate("edge-2")), (a_candidate(warm=False),)],
    ids=["equals share", "a load changes everything"],
)
def test_some_plans_are_used_once(ranked):
    planner = Planner(*ranked)
    nodes(Recent(planner), 3)
    assert planner.made == 3


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
    planner = Planner(a_candidate())
    recent = Recent(planner)
    nodes(recent, 1)
    nodes(recent, 1, **changes)
    assert planner.made == 2


def test_after_a_surprise_everything_is_planned_anew():
    planner = Planner(a_candidate())
    recent = Recent(planner)
    nodes(recent, 1)
    recent.forget()
    nodes(recent, 1)
    assert planner.made == 2
