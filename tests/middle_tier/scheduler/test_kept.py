"""What is kept from one decision to the next never changes a decision, whatever has been heard."""

import random

import pytest

from middle_tier.scheduler.columns import SCAN
from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from tests.build import an_answer
from tests.middle_tier.fleet import a_demand, a_node, add, dollars_an_hour, info
from tests.middle_tier.scheduler.test_properties import PRICE, SPEED, TIER, infos_of

VARIANTS = ("small", "medium", "large")


def advert(number: int, chance: random.Random, *, sequence: int, size: int):
    hardware = sorted(SPEED)[number % size]
    return a_node(
        f"n-{number}", hardware=hardware, tier=TIER[hardware], sequence=sequence, period_s=1000.0,
        loaded=chance.sample(VARIANTS, chance.randrange(4)),
        queue_ms=chance.choice((0.0, 9.0, 90.0)),
        price=dollars_an_hour(PRICE[hardware]), state=chance.choice(("ready",) * 9 + ("draining",)),
    )  # fmt: skip


def a_want(chance: random.Random):
    return a_demand(
        chance.choice((10.0, 60.0, 300.0)), percentile=chance.choice((50.0, 90.0, 99.0)),
        min_accuracy=chance.choice((0.0, 0.85, 0.95)), rows=chance.choice((1, 8)),
        tiers=chance.choice((None, None, ("edge",))),
        in_bytes=chance.choice((0, 2_000_000, 1000 * chance.randrange(9))),
    )  # fmt: skip


def hear(view: View, candidate, demand, chance: random.Random, now: float) -> None:
    """Its answer, as its node would give it on a good day or a bad one."""
    typical = candidate.run_ms / {50.0: 1.0, 90.0: 1.2, 99.0: 1.6}[demand.want.percentile]
    run_ms = typical * chance.choice((0.8, 1.0, 1.0, 1.0, 1.1, 1.2, 3.0))
    view.sent(candidate, 1, now)
    if chance.random() < 0.1:
        view.abandoned(candidate, 1, now)
        return
    answer = an_answer(
        variant=candidate.variant, run_ms=run_ms, held_ms=run_ms + candidate.cold_ms,
        cold=not candidate.warm, queue_ms=chance.choice((0.0, 5.0)), batch=demand.rows,
    )  # fmt: skip
    way_ms = (candidate.link_ms + candidate.transfer_ms) * chance.uniform(0.8, 3.0)
    view.observed(candidate, answer, answer.held_ms + way_ms, now)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("nodes", [2, 12, 60])
def test_a_decision_is_as_it_would_be_with_nothing_kept(nodes, seed):
    chance, view, policy = random.Random(seed), View("site-1"), Policy()  # noqa: S311  # a test's
    size = 1 if nodes == 2 else len(SPEED)
    for number in range(nodes):
        first = advert(number, chance, sequence=1, size=size)
        add(view, first, infos_of(first.hardware), 0.0)
    for step in range(400):
        now, demand = step * 0.01, a_want(chance)
        if step % 30 == 0:
            view.tick(now)
        plan = choose(demand, view.groups("digits"), policy, now=now, seed=step)
        fresh = Groups("digits", view.table, view.tier)
        assert plan == choose(demand, fresh, policy, now=now, seed=step)
        if step % 20 == 0:
            full = explain(demand, fresh, policy, now=now, seed=step)
            assert full.ranked[:1] == plan.ranked[:1] or nodes > 16, "of so many, drawn"
        if plan.ranked:
            hear(view, plan.ranked[0], demand, chance, now)
        if chance.random() < 0.2:
            view.advert(advert(chance.randrange(nodes), chance, sequence=2 + step, size=size), now)
    sums = view.table.sums
    assert sums.reshaped.count or nodes != 12, "what is learnt has come into the rows"


@pytest.mark.parametrize("turned", [False, True])
def test_of_those_in_one_slot_of_a_sample_whoever_was_heard_of_last_is_in_it(turned):
    view = View("site-1")
    for number in range(3 * SCAN):
        add(view, a_node(f"n-{number}"), [info()], 0.0)
    view.table.settle()
    heard = [one for one in view.table.sums.members if one and one.slot % SCAN == 5]
    for member in (heard[0], *(heard[::-1] if turned else heard)):
        view.table.sums.touch(member)
    view.table.settle()
    pool = heard[0].pool
    sampled = view.table.columns.scan[pool.own_row, 5]
    assert sampled == (heard[0] if turned else heard[-1]).slot
