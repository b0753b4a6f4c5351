"""A node says what it can do: on change, after every period of silence, and when it goes."""

from edge_agent.advertise import Advertiser
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from protocol.messages import Order
from protocol.subjects import AdvertSubject
from tests.build import a_capacity
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


class SlowBus(MemoryBus):
    """A bus over a link whose round trip is what the test says."""

    rtt = 0.002

    async def rtt_s(self) -> float:
        return self.rtt


async def test_the_link_is_told_once_measured_and_a_stall_is_forgotten_within_seconds():
    clock, network, adverts = ManualClock(), MemoryNetwork(), []
    bus = SlowBus(network)
    advertiser = Advertiser(bus, clock, subject="tm.v1.ad.edge.yard.cam", period_s=2.0, seed="cam")
    with_link = lambda state: a_capacity(state=state or "ready", link=advertiser.link)  # noqa: E731  # short
    async with (
        MemoryBus(network).subscribe(PATTERN, heard(adverts)),
        advertiser.running(with_link),
    ):
        await clock.advance(0.1)
        assert adverts[-1].link.ms[0] == 2.0
        await clock.advance(20.0)
        bus.rtt = 5.0
        await clock.advance(1.0)
        bus.rtt = 0.002
        await clock.advance(2.0)
        assert adverts[-1].link.ms[-1] > 1000.0
        await clock.advance(12.0)
        assert adverts[-1].link.ms[-1] == 2.0
        assert adverts[-1].link.count > 10
