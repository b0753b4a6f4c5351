"""A router carries a plan out: whom it asks, whom next, when it stops, and what it learns."""

import asyncio

import pytest

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from middle_tier import router as routers
from middle_tier.router import Router
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from protocol.errors import (
    BadRequestError,
    DeadlineError,
    ExecutionError,
    NoCandidateError,
    TooLargeError,
    UnknownError,
)
from tests.build import a_query, a_want
from tests.middle_tier.acted import CLOUD, MIDDLE, SCORES, ActedNode, a_site

IMAGE = bytes(256)


def cheap(**changes):
    return ActedNode("edge-1", **changes)


def dear(**changes):
    return ActedNode("middle-1", **{"tier": "middle", "price": MIDDLE, **changes})


def ask(router, query=None, **want):
    query = query or a_query(want=a_want(**want), deadline_ms=1000.0)
    return asyncio.ensure_future(router.answer(query, (IMAGE,)))


def health(router, clock, name):
    return next(n.health for n in router.view.nodes(clock.now()) if n.advert.node == name)


async def test_the_cheapest_node_that_meets_the_want_answers():
    edge, middle, clock = cheap(), dear(), ManualClock()
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        answer, buffers = await ask(router, latency_ms=100.0)
    assert (answer.id, answer.node, buffers) == ("q-1", "edge-1", (SCORES,))
    assert answer.predicted_ms > 0
    assert answer.cost_usd > 0
    assert not middle.asked
    assert router.under_way == 0


async def test_a_want_for_more_accuracy_goes_where_it_is():
    edge, middle = cheap(), dear(accuracy=0.99, variants=("cnn-table",))
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        answer, _ = await ask(router, min_accuracy=0.95)
    assert (answer.node, answer.variant) == ("middle-1", "cnn-table")


@pytest.mark.parametrize(("together", "frames"), [(10, 1), (16, 1), (20, 2), (40, 3)])
async def test_asks_for_a_node_that_are_ready_together_travel_in_full_frames(together, frames):
    edge = cheap()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        answers = await asyncio.gather(*(ask(router) for _ in range(together)))
    assert (len(edge.asked), edge.frames) == (together, frames)
    assert len(answers) == together


async def test_the_node_is_told_what_is_left_of_the_objective_and_of_the_deadline():
    edge = cheap(link={"ms": (4.0, 4.0, 4.0, 4.0, 4.0)})
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        await ask(router, latency_ms=50.0, percentile=95.0)
    (asked,) = edge.asked
    assert asked.budget_ms == pytest.approx(46.0, abs=0.1)
    assert asked.deadline_ms == pytest.approx(996.0, abs=0.1)
    assert asked.percentile == 95.0


async def test_an_objective_that_passes_at_once_is_one_that_nobody_meets():
    edge = cheap()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        with pytest.raises(NoCandidateError) as caught:
            await ask(router, latency_ms=1e-300)
    assert caught.value.fastest_ms > 0
    assert edge.asked == []


@pytest.mark.parametrize("reason", ["deadline", "draining", "queue_full", "memory", "run_failed"])
async def test_after_a_refusal_the_next_is_asked(reason):
    edge, middle = cheap(), dear()
    edge.does = reason
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        answer, _ = await ask(router)
    assert answer.node == "middle-1"
    assert len(edge.asked) == len(middle.asked) == 1


async def test_a_refused_variant_leaves_the_nodes_other_variants():
    edge = ActedNode(variants=("a-table", "b-table"))
    edge.does = "memory"
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        with pytest.raises(NoCandidateError):
            await ask(router)
    assert {asked.variant for asked in edge.asked} == {"a-table", "b-table"}


async def test_refusals_end_with_an_error_that_says_what_they_were():
    edge, middle = cheap(), dear()
    edge.does = middle.does = "queue_full"
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        with pytest.raises(NoCandidateError) as caught:
            await ask(router)
    assert caught.value.rejected["queue full"] == 2


async def test_bad_tensors_are_the_callers_fault_everywhere():
    edge, middle = cheap(), dear()
    edge.does = "bad_tensor"
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        with pytest.raises(BadRequestError, match="edge-1 says bad_tensor"):
            await ask(router)
    assert not middle.asked


async def test_a_model_that_fails_everywhere_is_said_to_have_failed():
    edge, middle = cheap(), dear()
    edge.does = middle.does = "run_failed"
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        with pytest.raises(ExecutionError):
            await ask(router)


async def test_no_more_nodes_are_tried_than_the_policy_says():
    nodes = [ActedNode(f"edge-{n}") for n in range(6)]
    for node in nodes:
        node.does = "queue_full"
    async with a_site(MemoryNetwork(), ManualClock(), *nodes, policy=Policy(tries=3)) as router:
        with pytest.raises(NoCandidateError):
            await ask(router)
    assert sum(len(node.asked) for node in nodes) == 3


async def test_a_dead_node_is_left_for_the_next_at_once():
    edge, middle, clock = cheap(), dear(), ManualClock()
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        await edge.die()
        answer, _ = await ask(router)
        assert answer.node == "middle-1"
        assert health(router, clock, "edge-1") == "suspect"


async def test_many_dead_nodes_do_not_use_up_the_tries():
    dead = [ActedNode(f"edge-{n}") for n in range(8)]
    middle = dear()
    async with a_site(MemoryNetwork(), ManualClock(), *dead, middle) as router:
        for node in dead:
            await node.die()
        answer, _ = await ask(router)
    assert answer.node == "middle-1"


async def test_a_node_that_dies_with_asks_in_flight_is_found_out_by_the_next_ask():
    edge, middle, clock = cheap(), dear(), ManualClock()
    edge.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        first = ask(router)
        await settle()
        assert not first.done()
        await edge.die()
        answer, _ = await ask(router)
        earlier, _ = await first
    assert answer.node == earlier.node == "middle-1"
    assert clock.now() == 0.0


async def test_a_node_that_dies_in_silence_costs_no_objective():
    edge, middle, clock = cheap(), dear(), ManualClock()
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        edge.alive = False
        queries = [ask(router, latency_ms=100.0) for _ in range(10)]
        await clock.advance(0.100)
        assert all(query.done() for query in queries)
        assert {query.result()[0].node for query in queries} == {"middle-1"}
        assert {query.result()[0].id for query in queries} == {"q-1"}


async def test_a_silent_node_that_shows_no_life_is_suspect_and_its_asks_go_on():
    edge, middle, clock = cheap(), dear(), ManualClock()
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        edge.alive = False
        many = [ask(router, latency_ms=500.0) for _ in range(100)]
        await clock.advance(0.4)
        assert all(query.done() for query in many)
        assert health(router, clock, "edge-1") == "suspect"


async def test_a_slow_node_that_lives_is_not_given_up_for_every_query():
    edge, middle, clock = cheap(), dear(), ManualClock()
    edge.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        many = [ask(router, latency_ms=500.0) for _ in range(100)]
        await clock.advance(0.4)
        assert len(middle.asked) < 30
        assert health(router, clock, "edge-1") == "alive"
        edge.answer_held()
        await settle()
        assert all(query.done() for query in many)


async def test_a_late_answer_teaches_the_view_and_is_given_to_nobody():
    edge, middle, clock = cheap(), dear(), ManualClock()
    edge.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        query = ask(router, latency_ms=100.0)
        await clock.advance(0.099)
        answer, _ = await query
        assert answer.node == "middle-1"
        assert edge.cancelled == [edge.asked[0].id]
        edge.run_ms = 60.0
        before = router.plan(router.demand(a_query())).ranked
        edge.answer_held()
        await settle()
        after = router.plan(router.demand(a_query())).ranked
        assert router.counts["late"] == 1
    slower = {c.node: c.run_ms for c in after}["edge-1"]
    assert slower > {c.node: c.run_ms for c in before}["edge-1"]


async def test_the_first_answer_wins_even_from_a_node_given_up():
    edge, middle, clock = cheap(), dear(), ManualClock()
    edge.does = middle.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge, middle) as router:
        query = ask(router, latency_ms=100.0)
        await clock.advance(0.099)
        assert middle.asked
        edge.answer_held()
        await settle()
        assert query.result()[0].node == "edge-1"
        assert middle.cancelled == [middle.asked[0].id]
        middle.answer_held()
        await settle()
        assert router.counts["answered"] == 1


async def test_past_the_objective_a_query_is_still_answered():
    edge, clock = cheap(), ManualClock()
    edge.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge) as router:
        query = ask(router, latency_ms=50.0)
        await clock.advance(0.5)
        assert not query.done()
        edge.answer_held()
        await settle()
        assert query.result()[0].node == "edge-1"


async def test_past_the_hard_deadline_it_is_dropped_and_cancelled():
    edge, clock = cheap(), ManualClock()
    edge.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge) as router:
        query = ask(router, a_query(deadline_ms=300.0))
        await clock.advance(0.299)
        assert not query.done()
        await clock.advance(0.001)
        with pytest.raises(DeadlineError):
            query.result()
        assert edge.cancelled == [edge.asked[0].id]
        assert router.under_way == 0


async def test_a_caller_that_goes_away_cancels_its_ask():
    edge, clock = cheap(), ManualClock()
    edge.does = "hold"
    async with a_site(MemoryNetwork(), clock, edge) as router:
        query = ask(router)
        await settle()
        query.cancel()
        await settle()
        assert edge.cancelled == [edge.asked[0].id]
        assert router.under_way == 0
        await clock.advance(10.0)  # what was not answered is off the count
        assert router.plan(router.demand(a_query())).ranked[0].queue_ms == 0.0


async def test_nothing_that_meets_the_want_is_said_with_what_could_be_had():
    async with a_site(MemoryNetwork(), ManualClock(), cheap(), dear()) as router:
        with pytest.raises(NoCandidateError) as caught:
            await ask(router, latency_ms=0.01)
    assert caught.value.fastest_ms >= 1.0
    assert caught.value.rejected
    assert "takes about" in caught.value.hint


async def test_a_want_that_is_too_cheap_is_told_what_it_would_cost():
    async with a_site(MemoryNetwork(), ManualClock(), cheap(), dear()) as router:
        least = router.plan(router.demand(a_query())).ranked[0].cost_usd
        with pytest.raises(NoCandidateError) as caught:
            await ask(router, max_cost_usd=least / 2)
    assert caught.value.hint.startswith(f"the cheapest that would meet it costs {least:.3g} USD")


async def test_by_policy_a_miss_is_answered_by_the_fastest():
    edge, middle = cheap(run_ms=50.0), dear(run_ms=5.0, hardware="gpu")
    policy = Policy(on_miss="fastest")
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle, policy=policy) as router:
        answer, _ = await ask(router, latency_ms=2.0)
    assert answer.node == "middle-1"
    assert middle.asked[0].late
    assert middle.asked[0].budget_ms < 2.0
    assert middle.asked[0].deadline_ms > 900.0


async def test_who_would_be_in_time_before_what_is_due_later_is_asked_and_held_to_it():
    edge = cheap(run_ms=50.0)
    edge.does = "hold"
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        loose = [ask(router, latency_ms=500.0) for _ in range(2)]
        await settle()
        tight = ask(router, latency_ms=100.0)
        await settle()
        assert [each.budget_ms < 100.0 for each in edge.asked] == [False, False, True]
        assert not any(each.late for each in edge.asked)
        edge.answer_held()
        await asyncio.gather(*loose, tight)


async def test_an_unknown_task_is_unknown():
    async with a_site(MemoryNetwork(), ManualClock(), cheap()) as router:
        with pytest.raises(UnknownError):
            await ask(router, task="faces")


async def test_a_tenants_tiers_are_kept_to():
    edge, far = cheap(), ActedNode("cloud-1", tier="cloud", price=CLOUD)
    async with a_site(MemoryNetwork(), ManualClock(), edge, far) as router:
        answer, _ = await ask(router, a_query(tiers=("cloud",)))
    assert answer.node == "cloud-1"
    assert not edge.asked


async def test_what_no_bus_carries_is_too_large_and_nobody_is_to_blame(monkeypatch):
    clock, network = ManualClock(), MemoryNetwork()

    def too_large(subject, *_):
        raise TooLargeError(f"too large for {subject}")

    async with a_site(network, clock, cheap(), dear()) as router:
        monkeypatch.setattr(router.bus, "publish", too_large)
        with pytest.raises(TooLargeError):
            await ask(router)
        assert health(router, clock, "edge-1") == health(router, clock, "middle-1") == "alive"


@pytest.mark.parametrize("answers", [True, False])
async def test_a_router_that_stops_waits_for_what_is_under_way_but_not_for_ever(answers):
    network, clock, edge = MemoryNetwork(), ManualClock(), cheap()
    edge.does = "hold"
    router = Router(MemoryBus(network), clock, View("site-1"), Policy(), site="site-1")
    stop = asyncio.Event()

    async def run():
        async with routers.running(router, drain_s=5.0):
            await stop.wait()

    running = asyncio.ensure_future(run())
    await settle()
    async with edge.on(MemoryBus(network)):
        query = ask(router, a_query(deadline_ms=60_000.0))
        await settle()
        stop.set()
        await clock.advance(4.9)
        assert not running.done()
        if answers:
            edge.answer_held()
        await clock.advance(0.2)
        assert running.done()
        assert query.done() is answers
        query.cancel()
