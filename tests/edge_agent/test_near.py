"""A router in the node's own process asks by calls: as over a bus, but without frames."""

import numpy as np

from edge_agent.clock import settle
from protocol.messages import Answer
from tests.edge_agent.node import POISON, a_node, an_ask


class Near:
    """Keeps what it hears; does `then` with each reply."""

    def __init__(self, then=lambda _: None):
        self.heard = []
        self.together = []
        self.then = then

    def hear(self, replies):
        self.together.append(len(replies))
        for reply, buffers in replies:
            self.heard.append((reply.id, reply.kind, [bytes(buffer) for buffer in buffers]))
            self.then(reply)


def image(first):
    return (np.array([[first, 1]], "<f4").tobytes(),)


async def test_what_is_asked_in_one_turn_runs_and_is_heard_together():
    async with a_node() as (agent, _):
        await agent.load("quick")
        near = Near()
        for number in range(3):
            agent.ask(an_ask(str(number)), image(number), near)
        assert near.heard == []
        await settle()
    assert near.together == [3]
    assert [np.frombuffer(data[0], "<f4")[0] for _, _, data in near.heard] == [1, 2, 3]


async def test_a_refusal_too_is_heard_only_after_the_call():
    async with a_node() as (agent, _):
        near = Near()
        agent.ask(an_ask("a", "unheard-of"), image(1), near)
        assert near.heard == []
        await settle()
    assert near.heard == [("a", "refusal", [])]


async def test_whoever_hears_may_ask_again_at_once():
    async with a_node() as (agent, _):
        await agent.load("quick")

        def again(reply):
            if len(near.heard) < 5:
                agent.ask(an_ask(f"{reply.id}+"), image(1), near)

        near = Near(again)
        agent.ask(an_ask("a"), image(1), near)
        await settle()
    assert [name for name, _, _ in near.heard] == ["a", "a+", "a++", "a+++", "a++++"]


async def test_a_caller_that_fails_takes_no_reply_from_others():
    async with a_node() as (agent, caller):
        await agent.load("quick")

        def fails(_):
            raise RuntimeError("a caller's fault")

        agent.ask(an_ask("a"), image(1), Near(fails))
        other = Near()
        agent.ask(an_ask("b"), image(2), other)
        caller.ask((an_ask("c"), [3]))
        await settle()
    assert [name for name, _, _ in other.heard] == ["b"]
    assert isinstance(caller.replies["c"][0][0], Answer)


async def test_a_cancel_takes_out_the_callers_own_ask_and_no_others():
    async with a_node() as (agent, _):
        await agent.load("quick")
        mine, others = Near(), Near()
        agent.ask(an_ask("a"), image(1), mine)
        agent.ask(an_ask("a"), image(2), others)
        agent.cancel(("a",), mine)
        await settle()
    assert [kind for _, kind, _ in mine.heard] == ["refusal"]
    assert [kind for _, kind, _ in others.heard] == ["answer"]


async def test_one_bad_input_fails_alone():
    async with a_node() as (agent, _):
        await agent.load("quick")
        near = Near()
        for name, first in (("a", 1), ("b", POISON), ("c", 3)):
            agent.ask(an_ask(name), image(first), near)
        await settle()
    assert {name: kind for name, kind, _ in near.heard} == {
        "a": "answer", "b": "refusal", "c": "answer",
    }  # fmt: skip
