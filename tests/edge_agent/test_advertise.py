"""A node says what it can do: on change, after every period of silence, and when it goes."""

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from protocol.messages import Order
from protocol.subjects import AdvertSubject
from tests.edge_agent.node import a_node, an_ask

PATTERN = AdvertSubject.pattern(site="yard")


def heard(adverts):
    return lambda delivery: adverts.append(delivery.frame.message)


async def test_it_adverts_at_least_every_period_and_says_goodbye():
    clock, network, adverts = ManualClock(), MemoryNetwork(), []
    async with (
        MemoryBus(network).subscribe(PATTERN, heard(adverts)),
        a_node(clock=clock, network=network, period_s=2.0),
    ):
        await clock.advance(20.0)
        assert 10 <= len(adverts) <= 12
    assert adverts[-1].state == "leaving"
    sequences = [advert.sequence for advert in adverts]
    assert sequences == sorted(set(sequences))
    assert len({advert.boot for advert in adverts}) == 1


async def test_a_change_is_told_at_once_and_a_burst_of_them_together():
    clock, network, adverts = ManualClock(), MemoryNetwork(), []
    async with (
        MemoryBus(network).subscribe(PATTERN, heard(adverts)),
        a_node(clock=clock, network=network, period_s=60.0) as (_, caller),
    ):
        await clock.advance(1.0)
        before = len(adverts)
        await caller.order("drain", Order())
        await clock.advance(0.0)
        assert [advert.state for advert in adverts[before:]] == ["draining"]
        for _ in range(5):
            await caller.order("resume", Order())
        await clock.advance(0.04)
        assert len(adverts) == before + 1
        await clock.advance(0.02)
        assert [advert.state for advert in adverts[before:]] == ["draining", "ready"]


async def test_it_tells_what_is_loaded_and_what_it_needs():
    clock, network, adverts = ManualClock(), MemoryNetwork(), []
    async with (
        MemoryBus(network).subscribe(PATTERN, heard(adverts)),
        a_node(clock=clock, network=network, memory_bytes=1 << 30) as (_, caller),
    ):
        caller.ask((an_ask("a"), [1]))
        await caller.reply_to("a")
        await clock.advance(0.1)
        await settle()
        assert [(each.variant, each.state) for each in adverts[-1].loaded] == [("quick", "warm")]
        assert adverts[-1].memory_bytes == 1 << 30
        assert adverts[-1].hardware == "box"
