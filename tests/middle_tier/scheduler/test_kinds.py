"""What is kept for kinds of demand is what it would be if nothing were kept."""

import random

import pytest

from middle_tier.scheduler.changes import KEPT
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.kinds import KINDS
from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.types import Policy
from tests.build import an_answer
from tests.middle_tier.fleet import a_demand, a_node, a_view, info

POLICIES = (
    Policy(usd_per_gb={"edge-middle": 1.0}),
    Policy.model_validate({"prefer": {"usd_per_accuracy_point": 1e-6}}),
)


def of_two_variants():
    infos = [info("small", accuracy=0.8), info("large", run_ms=9.0, accuracy=0.9)]
    return a_view((a_node("n-1", loaded=("small", "large")), infos), (a_node("n-2"), infos))


def lines(groups, kind):
    found = groups.kind(*kind)
    return [line.tolist() for line in (found.alone_ms, found.cost_usd, found.worth_usd)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("sizes", [1, 3, KINDS, 2 * KINDS])
def test_however_many_sizes_are_asked_for_each_has_its_own_figures(sizes, policy):
    chance, view = random.Random(sizes), of_two_variants()  # noqa: S311  # a test's
    groups = view.groups("digits")
    for step in range(6 * sizes):
        demand = a_demand(
            500.0, in_bytes=1000 * chance.randrange(sizes), rows=chance.choice((1, 2))
        )
        plan = choose(demand, groups, policy, now=step * 0.1, seed=step)
        fresh = Groups("digits", view.table, view.tier)
        assert plan == choose(demand, fresh, policy, now=step * 0.1, seed=step)
        kind = demand.rows, demand.want.percentile, demand.in_bytes
        assert lines(groups, kind) == lines(fresh, kind)
        view.sent(plan.ranked[0], demand.rows, step * 0.1)
        answer = an_answer(
            variant=plan.ranked[0].variant, run_ms=plan.ranked[0].run_ms * chance.uniform(0.8, 1.2),
            batch=demand.rows,
        )  # fmt: skip
        view.observed(plan.ranked[0], answer, 20.0, step * 0.1)


@pytest.mark.parametrize("missed", [1, KEPT, KEPT + 8])
def test_whoever_has_not_looked_for_long_sees_what_everybody_sees(missed):
    view = of_two_variants()
    groups, other = view.groups("digits"), Groups("digits", view.table, view.tier)
    for _ in range(2):
        best = choose(a_demand(500.0), groups, POLICIES[0], now=0.0, seed=1).ranked[0]
    for step in range(missed):
        view.observed(best, an_answer(variant=best.variant, run_ms=2.0 + step), 20.0, 0.1 * step)
        other.renew()
    groups.renew()
    choose(a_demand(500.0), other, POLICIES[0], now=9.0, seed=1)
    kind = 1, a_demand().want.percentile, 0
    assert lines(groups, kind) == lines(other, kind)


def test_of_what_nobody_could_load_in_time_it_is_still_told_how_late_it_would_be():
    view = a_view(
        (a_node("busy", queue_ms=500.0), [info(run_ms=5.0, load_ms=50.0)]),
        (a_node("empty", loaded=(), hardware="other"), [info(run_ms=5.0, load_ms=50.0)]),
    )
    groups = view.groups("digits")
    plan = choose(a_demand(30.0), groups, Policy(), now=0.0, seed=1)
    assert not plan.ranked
    assert (dict(plan.counts), plan.fastest_ms) == ({"too slow": 2}, 55.0)
    late = Policy(on_miss="fastest")
    plan = choose(a_demand(30.0), groups, late, now=0.0, seed=1)
    assert [each.node for each in plan.fallback] == ["empty", "busy"]
    assert plan.fallback == explain(a_demand(30.0), groups, late, now=0.0, seed=1).fallback
    assert [each.node for each in choose(a_demand(90.0), groups, late, now=0.0, seed=1).ranked] == [
        "empty"
    ]
