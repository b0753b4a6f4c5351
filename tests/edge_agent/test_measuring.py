"""A node measures its variants while nobody asks: whoever does waits for one run at most."""

import asyncio
from threading import Event

import pytest

from edge_agent.clock import settle
from edge_agent.queue.reception import BEHIND_MEASURING
from edge_agent.stock.measurement import MOST_RUNS, WARM_UP_RUNS
from edge_agent.stock.measuring import LOOK_S
from protocol.adverts import Loaded
from protocol.bundles import estimate
from protocol.messages import Answer
from tests.edge_agent.node import SLOW, Loads, an_ask, quick
from tests.edge_agent.paced import MEASURED, RUN_S, Paced, a_measuring_node, known


async def test_whoever_asks_waits_for_the_run_under_way_and_no_other():
    async with a_measuring_node() as (_, caller, paced, clock):
        caller.ask((an_ask("a", "long"), [5]))
        await settle()
        await clock.advance(RUN_S)
        paced.go.release()
        await paced.has_begun()
        paced.go.release()
        answer = await caller.reply_to("a")
        assert isinstance(answer, Answer)
        assert paced.batches == [MEASURED, [5.0]]
        assert answer.predicted_ms == pytest.approx(12)
        assert not answer.cold


async def test_who_cannot_wait_for_it_hears_why_and_the_next_need_not():
    async with a_measuring_node() as (agent, caller, paced, clock):
        await clock.advance(RUN_S / 2)
        caller.ask((an_ask("a", "long", budget_ms=8.0), [5]))
        refused = await caller.reply_to("a")
        assert (refused.reason, refused.detail) == ("deadline", BEHIND_MEASURING)
        assert refused.queue_ms == pytest.approx(3)
        assert refused.finish_ms == pytest.approx(9)
        paced.go.release()
        await agent.load("long")
        caller.ask((an_ask("b", "long", budget_ms=8.0), [6]))
        await paced.has_begun()
        paced.go.release()
        assert isinstance(await caller.reply_to("b"), Answer)


async def test_the_advert_says_warm_and_what_is_left_of_the_run_under_way():
    async with a_measuring_node() as (agent, caller, paced, clock):
        await clock.advance(RUN_S / 3)
        advert = agent.capacity()
        assert advert.loaded == (Loaded(variant="long", state="warm"),)
        assert advert.queue_ms == pytest.approx(4)
        caller.ask((an_ask("a", "long", budget_ms=1.0), [5]))
        await settle()
        paced.go.release()
        await agent.load("long")
        assert agent.capacity().queue_ms == 0.0


async def test_what_is_known_when_it_gives_way_is_told():
    async with a_measuring_node() as (agent, caller, paced, clock):
        before = agent.description()
        for _ in range(WARM_UP_RUNS):
            paced.go.release()
            await paced.has_begun()
        caller.ask((an_ask("a", "long"), [5]))
        await clock.advance(2 * RUN_S)
        paced.go.release(2)
        await caller.reply_to("a")
        profile = agent.description().variants[0].profile
        assert profile.measured
        assert {rows: run.ms[0] for rows, run in profile.runs.items()} == pytest.approx(
            {1: 12, 4: 18, 8: 26}
        )
        assert agent.description().revision > before.revision


async def test_until_something_is_known_it_goes_on_as_soon_as_nobody_waits():
    async with a_measuring_node() as (agent, caller, paced, clock):
        for name in ("a", "b", "c"):
            caller.ask((an_ask(name, "long"), [5]))
            await clock.advance(RUN_S)
            paced.go.release()
            await paced.has_begun()
            paced.go.release()
            await caller.reply_to(name)
            known = agent.description().variants[0].profile.measured
            assert known == (name == "c")
            if not known:
                await paced.has_begun()
        await settle()
        assert paced.begins_none()
        assert paced.batches == [MEASURED, [5.0]] * (WARM_UP_RUNS + 1)


async def test_it_goes_on_when_nobody_has_asked_for_a_while_where_it_was():
    async with a_measuring_node() as (agent, caller, paced, clock):
        caller.ask((an_ask("a", "long", budget_ms=1.0), [5]))
        await settle()
        paced.go.release()
        await agent.load("long")
        await clock.advance(LOOK_S * 0.9)
        assert paced.begins_none()
        assert not agent.description().variants[0].profile.measured
        await clock.advance(LOOK_S * 0.1)
        paced.go.release(10_000)
        profile = await known(agent)
        assert profile.measured
        assert paced.batches.count(MEASURED) == MOST_RUNS
        assert all(run.count for run in profile.runs.values())


@pytest.mark.parametrize(
    ("run_ms", "silent_s", "idle"),
    [(6.0, 0.05, False), (6.0, 0.07, True), (400.0, 0.9, False), (400.0, 1.0, True)],
)
async def test_nobody_has_asked_for_ten_runs_or_a_second(run_ms, silent_s, idle):
    slow = quick("long", profile=SLOW.but(runs={1: estimate(run_ms)}))
    async with a_measuring_node(first=slow) as (agent, caller, paced, clock):
        caller.ask((an_ask("a", "long", budget_ms=1.0), [5]))
        await settle()
        paced.go.release()
        await agent.load("long")
        await clock.advance(LOOK_S - silent_s)
        caller.ask((an_ask("b", "long", budget_ms=1.0), [6]))
        await settle()
        await clock.advance(silent_s)
        assert repr(agent.parts.warming.measuring) == f"<Measuring {'long' if idle else 'nothing'}>"


async def test_other_variants_are_served_meanwhile():
    async with a_measuring_node(quick("quick"), warm=("*",)) as (_, caller, paced, _clock):
        caller.ask((an_ask("a", budget_ms=1.0), [5]))
        answer = await caller.reply_to("a")
        assert isinstance(answer, Answer)
        assert answer.predicted_ms < 1.0
        assert paced.batches == []


async def test_other_variants_are_loaded_after_the_run_under_way():
    async with a_measuring_node(quick("quick")) as (agent, _, paced, _clock):
        loading = asyncio.create_task(agent.load("quick"))
        await settle()
        paced.go.release()
        async with asyncio.timeout(5):
            await loading
        assert paced.batches == [MEASURED]


async def test_all_that_was_loaded_is_measured_one_after_the_other():
    async with a_measuring_node(quick("quick"), warm=("*",)) as (agent, _, paced, clock):
        paced.go.release(10_000)
        await known(agent)
        await clock.advance(0)
        assert (await known(agent, "quick")).measured


async def test_it_does_not_go_on_behind_a_load_for_which_askers_would_wait():
    load, gate = Loads(long=Paced()), Event()
    async with a_measuring_node(quick("quick"), load=load) as (agent, caller, paced, clock):
        load.gate = gate
        loading = asyncio.create_task(agent.load("quick"))
        await settle()
        paced.go.release()
        await agent.load("long")
        await clock.advance(LOOK_S)
        for name in ("a", "b"):
            caller.ask((an_ask(name, "long"), [5]))
            await paced.has_begun()
            paced.go.release()
            assert isinstance(await caller.reply_to(name), Answer)
        gate.set()
        await loading
