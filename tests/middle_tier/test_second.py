"""Hedging and escalating: off unless the policy says so, within their share, one answer each."""

import asyncio

import numpy as np
import pytest

from edge_agent.bus.memory import MemoryNetwork
from edge_agent.clock import ManualClock, settle
from middle_tier.routing.confidence import confidence
from middle_tier.scheduler.types import Policy
from tests.build import a_query, a_want, an_answer
from tests.middle_tier.acted import CLOUD, MIDDLE, ActedNode, a_site

IMAGE = bytes(256)
SURE = np.array([[9.0, *([0.0] * 9)]], np.float32).tobytes()


def hedging(share=1.0, **more):
    return Policy.model_validate({"hedge": {"after_percentile": 50, "share": share}, **more})


def escalating(share=1.0, **more):
    return Policy.model_validate({"escalate": {"below": 0.6, "share": share}, **more})


def pair(**changes):
    return ActedNode("edge-1", run_ms=10.0), ActedNode("edge-2", run_ms=10.0, **changes)


def tiers(small=0.8, large=0.97):
    edge = ActedNode("edge-1", accuracy=small, variants=("small",))
    middle = ActedNode("middle-1", accuracy=large, variants=("large",), tier="middle", price=MIDDLE)
    return edge, middle


def ask(router, **want):
    query = a_query(want=a_want(**{"latency_ms": 200.0, **want}), deadline_ms=1000.0)
    return asyncio.ensure_future(router.answer(query, (IMAGE,)))


def count(router, name):
    return router.counts.get(name, 0)


async def first_of(nodes):
    """Which of them was asked, and the other."""
    await settle()
    (one,) = [node for node in nodes if node.asked]
    (other,) = [node for node in nodes if not node.asked]
    return one, other


async def test_a_late_node_is_hedged_and_the_first_answer_wins():
    nodes, clock = pair(), ManualClock()
    async with a_site(MemoryNetwork(), clock, *nodes, policy=hedging()) as router:
        for node in nodes:
            node.does = "hold"
        asked = ask(router)
        one, other = await first_of(nodes)
        await clock.advance(0.008)
        assert not other.asked
        await clock.advance(0.030)
        assert len(other.asked) == 1
        other.answer_held()
        await settle()
        assert asked.result()[0].node == other.name
        assert one.cancelled == [one.asked[0].id]
        one.answer_held()
        await settle()
        assert (count(router, "hedged"), count(router, "late")) == (1, 1)
        assert count(router, "answered") == 1
        assert router.under_way == 0


async def test_the_one_asked_first_may_still_win_and_nobody_is_ruled_out():
    nodes, clock = pair(), ManualClock()
    async with a_site(MemoryNetwork(), clock, *nodes, policy=hedging()) as router:
        for node in nodes:
            node.does = "hold"
        asked = ask(router)
        one, other = await first_of(nodes)
        await clock.advance(0.030)
        one.answer_held()
        await settle()
        assert asked.result()[0].node == one.name
        assert other.cancelled == [other.asked[0].id]
        assert count(router, "given_up") == 0


async def test_a_hedge_that_is_refused_leaves_the_first_expected():
    nodes, clock = pair(), ManualClock()
    async with a_site(MemoryNetwork(), clock, *nodes, policy=hedging()) as router:
        for node in nodes:
            node.does = "hold"
        asked = ask(router)
        one, other = await first_of(nodes)
        other.does = "queue_full"
        await clock.advance(0.030)
        assert len(other.asked) == 1
        assert not asked.done()
        one.answer_held()
        await settle()
        assert asked.result()[0].node == one.name
        assert len(one.asked) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
async def test_no_more_are_hedged_than_the_share_says(share):
    nodes, clock = pair(), ManualClock()
    async with a_site(MemoryNetwork(), clock, *nodes, policy=hedging(share)) as router:
        for node in nodes:
            node.does = "hold"
        for number in range(1, 41):
            asked = ask(router, latency_ms=5000.0)
            await clock.advance(0.035)
            assert count(router, "hedged") <= share * number
            asked.cancel()  # nothing is learnt from it, so the next one is late as early
            await clock.advance(3.0)
        assert count(router, "hedged") == pytest.approx(share * 40, abs=1)


async def test_nobody_is_hedged_with_who_would_be_too_late():
    slow = ActedNode("middle-1", run_ms=150.0, tier="middle", price=MIDDLE)
    edge, clock = ActedNode("edge-1", run_ms=10.0), ManualClock()
    async with a_site(MemoryNetwork(), clock, edge, slow, policy=hedging()) as router:
        edge.does = "hold"
        asked = ask(router, latency_ms=100.0)
        await clock.advance(0.030)
        assert not slow.asked
        edge.answer_held()
        await settle()
        assert asked.result()[0].node == "edge-1"


async def test_an_unsure_edge_answer_asks_for_a_better_variant_and_bills_both():
    edge, middle = tiers()
    middle.scores = SURE
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle, policy=escalating()) as router:
        answer, buffers = await ask(router)
        costs = [each.cost_usd for each in router.plan(router.demand(a_query())).ranked]
    assert (answer.variant, buffers) == ("large", (SURE,))
    assert answer.cost_usd == pytest.approx(sum(costs))
    assert count(router, "escalated") == count(router, "answered") == 1


async def test_a_sure_answer_stands():
    edge, middle = tiers()
    edge.scores = SURE
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle, policy=escalating()) as router:
        assert (await ask(router))[0].variant == "small"
    assert not middle.asked


async def test_nothing_is_escalated_unless_the_policy_says_so():
    edge, middle = tiers()
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        assert (await ask(router))[0].variant == "small"
    assert not middle.asked


async def test_the_unsure_answer_is_given_in_time_when_the_better_one_is_late():
    (edge, middle), clock = tiers(), ManualClock()
    middle.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge, middle, policy=escalating()) as router:
        asked = ask(router, latency_ms=100.0)
        await clock.advance(0.080)
        assert len(middle.asked) == 1
        assert not asked.done()
        await clock.advance(0.015)
        assert asked.result()[0].variant == "small"
        assert middle.cancelled == [middle.asked[0].id]
        middle.answer_held()
        await settle()
        assert count(router, "answered") == 1
        assert router.under_way == 0


@pytest.mark.parametrize("reason", ["queue_full", "run_failed", "bad_tensor", "draining"])
async def test_the_unsure_answer_is_given_when_the_better_one_is_refused(reason):
    edge, middle = tiers()
    middle.does = reason
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle, policy=escalating()) as router:
        assert (await ask(router))[0].variant == "small"
        assert len(middle.asked) == 1
    assert count(router, "answered") == 1


async def test_there_must_be_something_better_that_is_affordable_and_permitted():
    for want, policy in (
        ({"max_cost_usd": 1e-9}, escalating()),
        ({"variant": "small"}, escalating()),
        ({}, escalating(permit=[{"tiers": ["edge"]}])),
    ):
        edge, middle = tiers()
        async with a_site(MemoryNetwork(), ManualClock(), edge, middle, policy=policy) as router:
            assert (await ask(router, **want))[0].variant == "small"
        assert not middle.asked


async def test_the_better_variant_may_be_the_parents():
    network, clock = MemoryNetwork(), ManualClock()
    cloud = ActedNode(
        "cloud-1", site="cloud", tier="cloud", price=CLOUD, accuracy=0.99, variants=("large",)
    )
    edge = ActedNode("edge-1", accuracy=0.8, variants=("small",))
    async with (
        a_site(network, clock, cloud, site="cloud"),
        a_site(network, clock, edge, parent="cloud", policy=escalating()) as router,
    ):
        answer, _ = await ask(router)
    assert (answer.node, answer.variant) == ("cloud-1", "large")


async def test_who_names_the_variant_gets_its_answer_and_the_parent_is_not_asked():
    network, clock = MemoryNetwork(), ManualClock()
    cloud = ActedNode(
        "cloud-1", site="cloud", tier="cloud", price=CLOUD, accuracy=0.99, variants=("large",)
    )
    edge = ActedNode("edge-1", accuracy=0.8, variants=("small",))
    async with (
        a_site(network, clock, cloud, site="cloud"),
        a_site(network, clock, edge, parent="cloud", policy=escalating()) as router,
    ):
        assert (await ask(router, variant="small"))[0].node == "edge-1"
    assert count(router, "escalated") == 0


@pytest.mark.parametrize("share", [0.1, 0.5])
async def test_no_more_are_escalated_than_the_share_says(share):
    edge, middle = tiers()
    async with a_site(
        MemoryNetwork(), ManualClock(), edge, middle, policy=escalating(share)
    ) as router:
        for number in range(1, 41):
            await ask(router)
            assert count(router, "escalated") <= share * number
        assert count(router, "escalated") == pytest.approx(share * 40, abs=1)


def scored(values, datatype="FP32", shape=None):
    array = np.asarray(
        values, {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[datatype]
    )
    tensor = {"name": "scores", "datatype": datatype, "shape": shape or array.shape}
    return confidence(an_answer("1", outputs=(tensor,)), (array.tobytes(),))


def test_confidence_is_the_top_probability_and_the_least_of_a_batch():
    assert scored([[0.7, 0.2, 0.1]]) == pytest.approx(0.7)
    assert scored([[0.0, 0.0]]) == pytest.approx(0.5)
    assert scored([[100.0, 0.0], [0.0, 0.0]]) == pytest.approx(0.5)
    assert scored([[-1000.0, 1000.0]]) == pytest.approx(1.0)


def test_of_what_is_no_classifier_confidence_is_not_known():
    assert scored([[1, 0]], "INT64") is None
    assert scored([[0.5]]) is None
    assert scored([0.5, 0.5]) is None
    assert scored([[np.nan, 0.0]]) is None


async def test_what_was_asked_before_the_escalation_is_no_answer_to_it():
    (edge, other), clock = pair(), ManualClock()
    for node in (edge, other):
        node.does = "hold"
    middle = ActedNode("middle-1", accuracy=0.97, variants=("large",), tier="middle", price=MIDDLE)
    middle.does = "hold"
    policy = hedging(escalate={"below": 0.6, "share": 1.0})
    async with a_site(MemoryNetwork(), clock, edge, other, middle, policy=policy) as router:
        asked = ask(router)
        one, hedge = await first_of((edge, other))
        await clock.advance(0.030)
        one.answer_held()
        await settle()
        assert len(middle.asked) == 1
        hedge.answer_held()
        await settle()
        assert not asked.done()
        middle.answer_held()
        await settle()
        assert asked.result()[0].node == "middle-1"
