"""An urgent ask goes before those that have time; nobody who was admitted is late for it."""

from contextlib import asynccontextmanager
from threading import Event

from edge_agent.clock import ManualClock, settle
from protocol.messages import Answer
from tests.edge_agent.node import SLOW, Adds, Loads, a_node, an_ask, quick

URGENT_MS = 15.0
"""A run alone takes 6 ms; so does what runs already."""


@asynccontextmanager
async def behind(loose_ms, *, late=False):
    """An urgent ask behind one that runs for 6 ms and two that take 13 each and have `loose_ms`."""
    gate = Event()
    adds = Adds(gate)
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=adds), clock=ManualClock()) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        for name in ("x", "y"):
            ask = an_ask(name, "long", 8, budget_ms=loose_ms, deadline_ms=1000.0)
            caller.ask((ask, [2] * 8))
        await settle()
        urgent = an_ask("urgent", "long", budget_ms=URGENT_MS, deadline_ms=1000.0)
        caller.ask((urgent.but(late=late), [3]))
        await settle()
        gate.set()
        yield caller, adds


async def test_it_runs_before_them():
    async with behind(1000.0) as (caller, adds):
        assert isinstance(await caller.reply_to("urgent"), Answer)
        await caller.reply_to("y")
    assert adds.batches[:2] == [[1.0], [3.0]]


async def test_it_is_refused_where_one_of_them_would_be_late_for_it():
    async with behind(33.0) as (caller, _):
        assert (await caller.reply_to("urgent")).reason == "deadline"
        assert isinstance(await caller.reply_to("y"), Answer)


async def test_one_that_is_to_run_late_or_not_runs_after_them():
    async with behind(33.0, late=True) as (caller, adds):
        assert isinstance(await caller.reply_to("urgent"), Answer)
    assert adds.batches[-1] == [3.0]


async def test_one_that_is_late_anyway_waits_for_those_that_come_after_it():
    gate = Event()
    adds = Adds(gate)
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=adds), clock=ManualClock()) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        late = an_ask("late", "long", budget_ms=1.0, deadline_ms=500.0).but(late=True)
        caller.ask((late, [2]))
        await settle()
        caller.ask((an_ask("in time", "long", budget_ms=900.0, deadline_ms=1000.0), [3]))
        await settle()
        gate.set()
        assert isinstance(await caller.reply_to("late"), Answer)
    assert adds.batches == [[1.0], [3.0, 2.0]]
