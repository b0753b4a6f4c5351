"""What becomes of a measurement when its variant, or its node, goes; and what is kept of it."""

import asyncio
from threading import Event

from edge_agent.clock import settle
from edge_agent.profiler import Profiles
from edge_agent.stock.measurement import MOST_RUNS
from protocol.bundles import estimate
from protocol.errors import ExecutionError
from protocol.messages import Done, Order
from tests.build import a_profile
from tests.edge_agent.node import SLOW, Adds, Loads, a_node, a_store, an_ask, quick
from tests.edge_agent.paced import LONG, MEASURED, PIN, Paced, a_measuring_node, known


async def test_it_can_be_evicted_meanwhile_and_goes_on_when_it_is_loaded_again():
    async with a_measuring_node() as (agent, caller, paced, _):
        assert await caller.order("evict", Order(variant="long")) == Done(ok=True)
        assert agent.capacity().loaded == ()
        assert not paced.closed
        paced.go.release()
        over = Event()
        agent.parts.warming.aside(over.set)
        assert await asyncio.to_thread(over.wait, 5)
        assert paced.closed
        again = asyncio.create_task(agent.load("long"))
        await settle()
        paced.go.release(10_000)
        await again
        assert (await known(agent)).measured
        assert paced.batches.count(MEASURED) == MOST_RUNS


async def test_it_is_replaced_meanwhile_and_the_new_one_is_measured():
    slower = SLOW.but(runs={1: estimate(40.0)})
    async with a_measuring_node() as (agent, _, paced, _clock):
        agent.restock(a_store(quick("long", profile=slower, accuracy=0.5)))
        paced.go.release(10_000)
        assert (await known(agent)).measured
        assert paced.batches.count(MEASURED) == 1 + MOST_RUNS


async def test_what_does_not_run_keeps_the_builders_figures(caplog):
    class Refuses(Adds):
        def infer(self, _):
            raise ExecutionError("not today")

    async with a_node(quick("long", profile=SLOW), load=Loads(long=Refuses()), measure_s=0.5) as (
        agent,
        _,
    ):
        await agent.load("long")
        assert agent.description().variants[0].profile == SLOW
    assert "long is not measured: not today" in caplog.text


async def test_only_what_is_whole_is_kept_and_then_not_measured_again(tmp_path):
    async with a_measuring_node(kept=tmp_path) as (agent, caller, paced, _):
        caller.ask((an_ask("a", "long", budget_ms=1.0), [5]))
        await settle()
        paced.go.release()
        await agent.load("long")
    assert Profiles(tmp_path).get(LONG, PIN, "box") is None
    async with a_measuring_node(kept=tmp_path) as (agent, *_, paced, _):
        paced.go.release(10_000)
        profile = await known(agent)
    assert Profiles(tmp_path).get(LONG, PIN, "box") == profile
    load = Loads()
    async with a_node(LONG, measure_s=0.5, load=load, kept=tmp_path) as (agent, _):
        assert await known(agent) == profile
        assert load.runtimes["long"].batches == []


async def test_leaving_waits_for_the_run_under_way_and_no_other(monkeypatch):
    paced = Paced()
    fields = {"measure_s": 0.5, "warm": ("long",), "load": Loads(long=paced)}
    async with a_node(LONG, **fields) as (agent, _):
        await paced.has_begun()
        measuring = agent.parts.warming.measuring
        end = measuring.end

        def ends():
            end()
            paced.go.release()

        monkeypatch.setattr(measuring, "end", ends)
    assert paced.batches == [MEASURED]
    assert paced.closed


async def test_what_an_earlier_version_has_kept_is_completed(tmp_path):
    Profiles(tmp_path).put(LONG, PIN, "box", a_profile(12.0, measured=True))
    async with a_node(LONG, kept=tmp_path) as (agent, _):
        profile = agent.description().variants[0].profile
    assert {rows: run.ms[0] for rows, run in profile.runs.items()} == {1: 12, 4: 18, 8: 26}


async def test_an_order_to_load_what_runs_already_is_done_at_once():
    paced = Paced()
    async with a_node(quick("long", profile=SLOW), load=Loads(long=paced)) as (agent, caller):
        caller.ask((an_ask("a", "long"), [5]))
        await paced.has_begun()
        async with asyncio.timeout(5):
            await agent.load("long")
        paced.go.release()
        await caller.reply_to("a")
