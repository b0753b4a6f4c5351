"""The cloud lists the nodes of every site and hands orders to any of them."""

from contextlib import asynccontextmanager

import pytest

from cloud_core.federation import SURVEY_S, Federation
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from protocol.adverts import SiteCapacity
from protocol.bundles import estimate
from protocol.codec import Frame
from protocol.errors import UnknownError
from protocol.messages import Done, Order
from protocol.subjects import ControlSubject, SummarySubject
from tests.middle_tier.acted import ActedNode, a_site


@asynccontextmanager
async def a_federation(network):
    clock = ManualClock()
    async with (
        a_site(network, clock, ActedNode("cloud-1", site="cloud"), site="cloud") as cloud,
        a_site(network, clock, ActedNode("edge-1"), parent="cloud"),
    ):
        yield Federation(cloud)


async def tell_of(network, site):
    summary = SiteCapacity(site=site, boot="b", sequence=1, link=estimate(0.0))
    MemoryBus(network).publish(str(SummarySubject(site)), Frame(summary))
    await settle()


async def test_the_census_counts_the_nodes_of_every_site():
    network = MemoryNetwork()
    async with a_federation(network) as federation:
        await tell_of(network, "site-1")
        census = await federation.census()
    assert [status.advert.node for status in census.nodes] == ["cloud-1", "edge-1"]
    assert census.silent == ()


async def test_a_site_that_does_not_answer_is_named():
    network = MemoryNetwork()
    async with a_federation(network) as federation:
        await tell_of(network, "site-9")
        census = await federation.census()
    assert census.silent == ("site-9",)
    assert SURVEY_S < 5


async def test_an_order_reaches_the_node_and_its_word_comes_back():
    network = MemoryNetwork()
    heard, bus = [], MemoryBus(network)

    def obey(delivery):
        heard.append(delivery)
        bus.publish(delivery.reply, Frame(Done(ok=True, detail="so be it")))

    subject = str(ControlSubject("site-2", "edge-7", "load"))
    async with a_federation(network) as federation, bus.subscribe(subject, obey):
        done = await federation.order("site-2", "edge-7", "load", "v")
    assert (done.ok, done.detail) == (True, "so be it")
    assert heard[0].frame.message == Order(variant="v")


async def test_an_order_to_nobody_says_so():
    async with a_federation(MemoryNetwork()) as federation:
        with pytest.raises(UnknownError):
            await federation.order("site-1", "edge-9", "drain")
