"""No ask is lost: whatever the load, the cancels and the failures, each gets exactly one reply."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock, settle
from protocol.codec import Frame
from protocol.errors import ExecutionError
from protocol.messages import Answer, Cancel, Order
from tests.build import a_profile
from tests.edge_agent.node import POISON, SLOW, Adds, Loads, a_node, an_ask, quick

VARIANTS = ("quick", "long", "broken", "unheard-of")

asked = st.tuples(
    st.just("ask"),
    st.sampled_from(VARIANTS),
    st.lists(st.sampled_from([1.0, 2.0, POISON]), min_size=1, max_size=5),
    st.sampled_from([1.0, 30.0, 1000.0]),
)
steps = st.lists(
    st.one_of(
        asked,
        asked,
        asked,
        st.tuples(st.just("cancel"), st.integers(0, 40)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.1])),
        st.tuples(st.just("order"), st.sampled_from(["drain", "resume", "evict", "load"])),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([1, 2]), st.sampled_from([4, 1024]))
def test_each_ask_gets_exactly_one_reply(steps, workers, queue_limit):
    asyncio.run(each_gets_one_reply(steps, workers, queue_limit))


async def each_gets_one_reply(steps, workers, queue_limit):
    clock, load, given_rows = ManualClock(), Loads(broken=ExecutionError("broken")), {}
    small = a_profile(load_ms=1.0, memory_bytes=1, runs=quick().profile.runs)
    variants = [quick(profile=small), quick("long", profile=SLOW), quick("broken")]
    async with a_node(
        *variants, load=load, clock=clock, workers=workers, queue_limit=queue_limit
    ) as (_, caller):
        for step in steps:
            match step:
                case ("ask", variant, rows, budget):
                    name = str(len(given_rows))
                    given_rows[name] = rows
                    ask = an_ask(name, variant, len(rows), budget_ms=budget, deadline_ms=2 * budget)
                    caller.ask((ask, rows))
                case ("cancel", number):
                    caller.publish(Frame(Cancel(ids=(str(number),))))
                case ("wait", seconds):
                    await clock.advance(seconds)
                case ("order", verb):
                    await caller.order(verb, Order(variant="quick"))
        await settle()
    counts = Counter({name: len(replies) for name, replies in caller.replies.items()})
    assert counts == Counter(dict.fromkeys(given_rows, 1))
    for name, rows in given_rows.items():
        reply = caller.replies[name][0][0]
        if isinstance(reply, Answer):
            assert caller.scores(name) == [row + 1 for row in rows]
            assert POISON not in rows
    assert all(runtime.closed for runtime in load.runtimes.values() if isinstance(runtime, Adds))


async def test_two_asks_of_one_id_both_get_their_replies():
    async with a_node() as (agent, caller):
        await agent.load("quick")
        caller.ask((an_ask("a"), [1]), (an_ask("a"), [2]))
        await caller.reply_to("a")
    assert len(caller.replies["a"]) == 2
