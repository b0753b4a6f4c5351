"""A node whose queue one tenant has filled lets others in, within their shares, and first."""

from contextlib import asynccontextmanager
from threading import Event

import pytest

from edge_agent.clock import ManualClock, settle
from protocol.messages import Answer
from tests.edge_agent.node import SLOW, Adds, Loads, a_node, an_ask, quick

URGENT_MS = 20.0
"""A run alone takes 6 ms, one of eight 13; so much is left of what runs already, too."""
FLOOD_MS, FLOOD = 200.0, 24
"""Batches of eight: more than have time."""


@asynccontextmanager
async def flooded(**changes):
    """A node that runs one ask, and has as many of tenant `f` as it can answer in time."""
    gate = Event()
    adds = Adds(gate)
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=adds), clock=ManualClock(), **changes) as (
        agent,
        caller,
    ):
        await agent.load("long")
        caller.ask((flood("runs"), [1]))
        await settle()
        for number in range(FLOOD):
            caller.ask((flood(f"f{number}", 8), [2] * 8))
        for number in range(FLOOD):
            caller.ask((flood(f"g{number}"), [2]))
        await settle()
        try:
            yield caller, adds, gate
        finally:
            gate.set()


def flood(name, rows=1):
    return an_ask(name, "long", rows, budget_ms=FLOOD_MS, deadline_ms=1000.0, tenant="f")


def urgent(name="urgent", tenant="u", **changes):
    fields = {"budget_ms": URGENT_MS, "deadline_ms": 1000.0, **changes}
    return an_ask(name, "long", tenant=tenant, **fields)


def refused(caller):
    return [
        name for name, ((reply, _), *_) in caller.replies.items() if not isinstance(reply, Answer)
    ]


async def test_the_queue_is_full_indeed():
    async with flooded() as (caller, *_):
        assert refused(caller)
        caller.ask((urgent(tenant="f"), [3]))
        await settle()
        assert "urgent" in refused(caller)


@pytest.mark.parametrize("budget_ms", [URGENT_MS + 50.0, FLOOD_MS])
async def test_another_tenant_s_ask_is_let_in_and_is_in_the_next_batch(budget_ms):
    async with flooded() as (caller, adds, gate):
        caller.ask((urgent(budget_ms=budget_ms), [3]))
        await settle()
        assert "urgent" not in refused(caller)
        gate.set()
        assert isinstance(await caller.reply_to("urgent"), Answer)
    place = next(at for at, batch in enumerate(adds.batches) if 3.0 in batch)
    assert place <= 5, "what a tenant may have in a row, at most, goes before it"


async def test_once_a_tenant_has_had_its_credit_the_other_s_ask_is_next():
    async with flooded(workers=1) as (caller, adds, gate):
        gate.set()
        await caller.reply_to("f5")
        gate.clear()
        ran = len(adds.batches)
        caller.ask((urgent(), [3]))
        await settle()
        gate.set()
        assert isinstance(await caller.reply_to("urgent"), Answer)
    assert next(at for at, batch in enumerate(adds.batches) if 3.0 in batch) <= ran + 1


async def test_a_flood_that_fills_the_queue_to_its_limit_leaves_room_for_others():
    async with flooded(queue_limit=8 * FLOOD // 2) as (caller, _, gate):
        assert refused(caller)
        caller.ask((urgent(budget_ms=FLOOD_MS), [3]))
        caller.ask((urgent("more", tenant="f", budget_ms=5000.0, deadline_ms=5000.0), [3]))
        await settle()
        gate.set()
        assert isinstance(await caller.reply_to("urgent"), Answer)
        assert (await caller.reply_to("more")).reason == "queue_full"


async def test_a_tenant_s_own_flood_is_no_other_s_fault():
    """Beyond its share it is refused as ever: by all that waits."""
    async with flooded() as (caller, *_):
        for number in range(60):
            caller.ask((urgent(f"u{number}", budget_ms=100.0), [3]))
        await settle()
        assert "u0" not in refused(caller)
        assert "u59" in refused(caller)
