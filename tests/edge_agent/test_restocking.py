"""Another store in place of the one before, while the node serves."""

from hashlib import sha256
from threading import Event

from edge_agent.clock import settle
from protocol.bundles import digest_key
from protocol.messages import Answer, Order
from tests.edge_agent.node import Adds, Loads, a_node, a_store, an_ask, quick


def newer(name="quick"):
    data = b"newer"
    return quick(name, digest=digest_key(sha256(data).hexdigest()), size_bytes=len(data))


async def until(condition):
    for _ in range(10_000):
        if condition():
            return
        await settle()
    raise AssertionError("it never came to that")


def warm(agent):
    return {one.variant for one in agent.capacity().loaded if one.state == "warm"}


async def test_what_is_cold_is_replaced_at_once():
    loads = Loads()
    async with a_node(load=loads) as (agent, caller):
        revision = agent.description().revision
        agent.restock(a_store(newer(), data=b"newer"))
        assert agent.description().revision > revision
        caller.ask((an_ask("q"), [1.0]))
        assert isinstance(await caller.reply_to("q"), Answer)
    assert loads.loaded == ["quick"]


async def test_what_is_warm_and_idle_is_loaded_again():
    loads = Loads()
    async with a_node(load=loads) as (agent, _):
        await agent.load("quick")
        old = loads.runtimes.pop("quick")
        agent.restock(a_store(newer(), data=b"newer"))
        await until(lambda: warm(agent) == {"quick"})
        assert old.closed
        assert not loads.runtimes["quick"].closed
    assert loads.loaded == ["quick", "quick"]


async def test_the_same_store_again_changes_nothing():
    loads = Loads()
    async with a_node(load=loads) as (agent, _):
        await agent.load("quick")
        agent.restock(a_store(quick()))
        assert warm(agent) == {"quick"}
    assert loads.loaded == ["quick"]


async def test_what_runs_is_finished_before_it_is_replaced():
    gate = Event()
    loads = Loads(quick=Adds(gate))
    async with a_node(load=loads, inline_below_ms=0) as (agent, caller):
        await agent.load("quick")
        caller.ask((an_ask("first"), [1.0]))
        await until(lambda: loads.runtimes["quick"].batches)
        old = loads.runtimes.pop("quick")
        agent.restock(a_store(newer(), data=b"newer"))
        caller.ask((an_ask("second"), [1.0]))
        refused = await caller.reply_to("second")
        assert (refused.reason, refused.detail) == ("queue_full", "it is being replaced")
        assert not old.closed
        gate.set()
        assert isinstance(await caller.reply_to("first"), Answer)
        await until(lambda: loads.loaded == ["quick", "quick"])
        await until(lambda: warm(agent) == {"quick"})
        caller.ask((an_ask("third"), [1.0]))
        assert isinstance(await caller.reply_to("third"), Answer)
        assert old.closed


async def test_what_is_no_longer_there_is_given_up_and_what_is_new_is_served():
    async with a_node() as (agent, caller):
        await agent.load("quick")
        agent.restock(a_store(quick("other")))
        await until(lambda: not warm(agent))
        caller.ask((an_ask("old"), [1.0]), (an_ask("new", variant="other"), [1.0]))
        assert (await caller.reply_to("old")).reason == "unknown_variant"
        assert isinstance(await caller.reply_to("new"), Answer)
        assert [one.variant for one in agent.description().variants] == ["other"]


async def test_what_is_new_and_configured_as_warm_is_loaded():
    async with a_node(warm=("oth*",)) as (agent, _):
        agent.restock(a_store(quick(), quick("other")))
        await until(lambda: warm(agent) == {"other"})


async def test_an_order_to_update_has_the_keeper_look():
    looks = []
    async with a_node() as (agent, caller):
        agent.update_wanted = lambda: looks.append(1)
        assert (await caller.order("update", Order())).ok
    assert looks == [1]
