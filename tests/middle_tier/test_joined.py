"""Parties of one process meet by memory; all others by the bus beyond, which may be cut off."""

import pytest

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.bus.nats import connecting
from edge_agent.clock import settle
from middle_tier.joined import JoinedBus
from protocol.codec import Frame
from protocol.errors import UnreachableError
from protocol.messages import Ping, Pong
from protocol.subjects import AskSubject, RouteSubject
from tests.build import a_capacity

ADVERT = "tm.v1.ad.edge.joined.edge-1"


class CutOff(MemoryBus):
    """A bus that has lost its connection."""

    connected = False

    def publish(self, *_):
        raise UnreachableError("not connected")


def pong(bus):
    return lambda delivery: bus.publish(delivery.reply, Frame(Pong()))


async def test_a_party_here_is_reached_without_the_other_bus():
    bus = JoinedBus(CutOff(MemoryNetwork()))
    heard, frame = [], Frame(Ping(), (memoryview(bytes(4)),))
    async with bus.subscribe("tm.v1.ask.s.n", heard.append):
        bus.publish("tm.v1.ask.s.n", frame)
        await settle()
    assert heard[0].frame is frame
    with pytest.raises(UnreachableError):
        bus.publish("tm.v1.ask.s.n", frame)


async def test_adverts_are_heard_here_while_the_other_bus_is_cut_off():
    bus, heard = JoinedBus(CutOff(MemoryNetwork())), []
    async with bus.subscribe("tm.v1.ad.*.joined.*", heard.append):
        bus.publish(ADVERT, Frame(a_capacity()))
        await settle()
    assert [delivery.subject for delivery in heard] == [ADVERT]


async def test_over_nats_each_side_reaches_the_other(nats_url):
    async with (
        connecting(nats_url, name="near") as far,
        connecting(nats_url, name="elsewhere") as elsewhere,
    ):
        bus = JoinedBus(far)
        here, there = str(AskSubject("joined", "here")), str(RouteSubject("joined-there"))
        async with (
            bus.subscribe(here, pong(bus)),
            elsewhere.subscribe(there, pong(elsewhere)),
        ):
            assert isinstance((await bus.request(here, Frame(Ping()), 5.0)).message, Pong)
            assert isinstance((await bus.request(there, Frame(Ping()), 5.0)).message, Pong)
            assert isinstance((await elsewhere.request(here, Frame(Ping()), 5.0)).message, Pong)


async def test_over_nats_nobody_is_said_at_once(nats_url):
    async with connecting(nats_url, name="near") as far:
        bus, heard = JoinedBus(far), []
        inbox = bus.inbox()
        async with bus.subscribe(f"{inbox}.*", heard.append):
            bus.publish("tm.v1.ask.joined.nobody", Frame(Ping()), f"{inbox}.7")
            while not heard:
                await settle()
    assert heard[0].frame is None
    assert heard[0].subject == f"{inbox}.7"


async def test_an_advert_goes_to_both_sides(nats_url):
    async with (
        connecting(nats_url, name="near") as far,
        connecting(nats_url, name="elsewhere") as elsewhere,
    ):
        bus, here, there = JoinedBus(far), [], []
        async with (
            bus.subscribe("tm.v1.ad.*.joined.*", here.append),
            elsewhere.subscribe("tm.v1.ad.*.joined.*", there.append),
        ):
            bus.publish(ADVERT, Frame(a_capacity()))
            while not there:
                await settle()
    assert here[0].frame.message.node == there[0].frame.message.node == "edge-1"
