"""Queries between sites: up to the parent, down to a site, never in a circle, answered once."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from protocol.adverts import Offer, Roster, SiteCapacity, Survey
from protocol.bundles import estimate
from protocol.codec import Frame
from protocol.errors import (
    BadRequestError,
    DeadlineError,
    NoCandidateError,
    UnknownError,
    UnreachableError,
)
from protocol.messages import Ping, Pong, Refusal, Replies
from protocol.subjects import RouteSubject, SummarySubject
from tests.build import a_query, a_task, a_want
from tests.middle_tier.acted import CLOUD, EDGE, ActedNode, a_site

IMAGE = bytes(256)


@asynccontextmanager
async def a_mesh(clock, *, at_site=(), at_cloud=(), network=None):
    """A site below a cloud: the two routers."""
    network = network or MemoryNetwork()
    async with (
        a_site(network, clock, *at_cloud, site="cloud") as cloud,
        a_site(network, clock, *at_site, site="site-1", parent="cloud") as site,
    ):
        yield site, cloud


def a_cloud_node(**changes):
    return ActedNode("cloud-1", site="cloud", tier="cloud", price=CLOUD, **changes)


def ask(router, query=None, **want):
    query = query or a_query(want=a_want(**want))
    return asyncio.ensure_future(router.answer(query, (IMAGE,)))


def summarised(node, site="site-1", price=EDGE, link_ms=0.0):
    """What a site says of itself that has this one node."""
    offer = Offer(
        info=node.description.variants[0], hardware="x86-64-2c", tier="edge", warm=True, nodes=1,
        queue_ms=0.0, link=estimate(link_ms), mbps=1000.0, price=price,
    )  # fmt: skip
    return SiteCapacity(
        site=site, boot="b", sequence=1, link=estimate(0.0), period_s=1000.0,
        nodes={"edge": 1}, tasks=(a_task(),), offers=(offer,),
    )  # fmt: skip


async def tell(network, summary):
    MemoryBus(network).publish(str(SummarySubject(summary.site)), Frame(summary))
    await settle()


async def test_what_a_site_cannot_serve_goes_up():
    edge, far = ActedNode(), a_cloud_node(accuracy=0.99, variants=("big-table",))
    async with a_mesh(ManualClock(), at_site=[edge], at_cloud=[far]) as (site, _):
        answer, buffers = await ask(site, min_accuracy=0.95)
    assert (answer.id, answer.node, answer.site, len(buffers)) == ("q-1", "cloud-1", "cloud", 1)
    assert not edge.asked


async def test_a_task_that_only_the_cloud_knows_goes_up():
    async with a_mesh(ManualClock(), at_cloud=[a_cloud_node()]) as (site, _):
        assert (await ask(site))[0].node == "cloud-1"


async def test_a_task_that_nobody_knows_is_unknown():
    async with a_mesh(ManualClock(), at_cloud=[a_cloud_node()]) as (site, _):
        with pytest.raises(UnknownError):
            await ask(site, task="faces")


async def test_what_the_site_can_serve_does_not_go_up():
    edge, far = ActedNode(), a_cloud_node()
    async with a_mesh(ManualClock(), at_site=[edge], at_cloud=[far]) as (site, _):
        assert (await ask(site))[0].node == "edge-1"
    assert not far.asked


async def test_the_way_up_is_taken_off_the_budget():
    far = a_cloud_node()
    async with a_mesh(ManualClock(), at_cloud=[far]) as (site, _):
        site.parent.answered(40.0)
        answer, _ = await ask(site, latency_ms=100.0)
    assert far.asked[0].budget_ms == pytest.approx(60.0, abs=1.0)
    assert answer.predicted_ms == pytest.approx(41.0, abs=1.0)


async def test_a_want_sooner_than_the_way_up_stays_here():
    far = a_cloud_node()
    async with a_mesh(ManualClock(), at_site=[ActedNode()], at_cloud=[far]) as (site, _):
        site.parent.answered(40.0)
        with pytest.raises(NoCandidateError):
            await ask(site, latency_ms=0.5)
    assert not far.asked


async def test_a_cut_uplink_is_said_at_once():
    async with a_mesh(ManualClock(), at_site=[ActedNode()], at_cloud=[a_cloud_node()]) as (site, _):
        site.parent.silent()
        with pytest.raises(NoCandidateError) as caught:
            await ask(site, min_accuracy=0.95)
    assert "the way to cloud is cut" in caught.value.rejected


async def test_an_uplink_cut_under_way_ends_the_wait():
    network, clock = MemoryNetwork(), ManualClock()
    async with a_mesh(clock, at_cloud=[a_cloud_node()], network=network) as (site, _):
        network.cut.add(str(RouteSubject("cloud")))
        query = ask(site)
        await settle()
        assert not query.done()
        site.lost("cloud")
        with pytest.raises((NoCandidateError, UnknownError)):
            await query


async def test_a_parent_that_does_not_listen_is_no_candidate():
    async with a_site(MemoryNetwork(), ManualClock(), ActedNode(), parent="cloud") as site:
        with pytest.raises(NoCandidateError):
            await ask(site, min_accuracy=0.95)


async def test_the_parents_refusal_says_what_could_be_had_there():
    far = a_cloud_node(accuracy=0.93)
    async with a_mesh(ManualClock(), at_site=[ActedNode()], at_cloud=[far]) as (site, _):
        with pytest.raises(NoCandidateError) as caught:
            await ask(site, min_accuracy=0.95)
    assert caught.value.best_accuracy == pytest.approx(0.93)


async def test_a_query_to_the_cloud_goes_down_to_the_cheapest_site_that_meets_it():
    network, edge, far = MemoryNetwork(), ActedNode(), a_cloud_node()
    async with a_mesh(ManualClock(), at_site=[edge], at_cloud=[far], network=network) as (_, cloud):
        await tell(network, summarised(edge))
        answer, _ = await ask(cloud)
        assert (answer.node, answer.site) == ("edge-1", "site-1")
        assert not far.asked
        quick, _ = await ask(cloud, a_query(tiers=("cloud",)))
    assert quick.node == "cloud-1"


async def test_a_site_that_refuses_leaves_it_to_the_next():
    network, edge, far = MemoryNetwork(), ActedNode(), a_cloud_node()
    edge.does = "queue_full"
    async with a_mesh(ManualClock(), at_site=[edge], at_cloud=[far], network=network) as (
        site,
        cloud,
    ):
        await tell(network, summarised(edge))
        answer, _ = await ask(cloud)
        assert site.counts["asks"] == 1  # the node: nothing went back up
    assert answer.node == "cloud-1"
    assert len(edge.asked) == len(far.asked) == 1


async def test_a_site_that_is_gone_leaves_it_to_the_next():
    network, far = MemoryNetwork(), a_cloud_node()
    async with a_site(network, ManualClock(), far, site="cloud") as cloud:
        await tell(network, summarised(ActedNode()))
        assert (await ask(cloud))[0].node == "cloud-1"


async def test_a_site_that_stands_still_leaves_it_to_the_next_in_time():
    network, clock, far = MemoryNetwork(), ManualClock(), a_cloud_node()
    async with (
        a_site(network, clock, far, site="cloud") as cloud,
        MemoryBus(network).subscribe(str(RouteSubject("site-1")), lambda _: None),
    ):
        await tell(network, summarised(ActedNode()))
        query = ask(cloud, latency_ms=100.0)
        await clock.advance(0.1)
        assert query.result()[0].node == "cloud-1"


async def test_two_sites_and_a_cloud_send_nothing_in_a_circle():
    network, clock = MemoryNetwork(), ManualClock()
    nodes = [ActedNode("edge-1", site=f"site-{n}") for n in (1, 2)]
    for node in nodes:
        node.does = "queue_full"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        cloud = await enter(a_site(network, clock, site="cloud"))
        one, two = [
            await enter(a_site(network, clock, node, site=node.site, parent="cloud"))
            for node in nodes
        ]
        for node in nodes:
            await tell(network, summarised(node, node.site))
        with pytest.raises(NoCandidateError):
            await ask(one)
    assert [len(node.asked) for node in nodes] == [1, 1]
    assert two.under_way == cloud.under_way == 0


async def test_a_query_that_has_been_here_is_refused():
    network = MemoryNetwork()
    async with a_site(network, ManualClock(), ActedNode()) as _:
        query = a_query(hops=("site-1", "cloud"))
        bus, frame = MemoryBus(network), Frame(query, (IMAGE,))
        reply = await bus.request(str(RouteSubject("site-1")), frame, 1.0)
    assert isinstance(reply.message, Replies)
    (item,) = reply.message.items
    assert isinstance(item, Refusal)
    assert (item.id, item.reason) == ("q-1", "no_candidate")


async def test_the_deadline_is_one_wherever_the_query_is():
    clock, far = ManualClock(), a_cloud_node()
    far.does = "hold"
    async with a_mesh(clock, at_cloud=[far]) as (site, cloud):
        query = ask(site, a_query(deadline_ms=200.0))
        await clock.advance(0.2)
        with pytest.raises(DeadlineError):
            query.result()
        assert cloud.under_way == 0
        assert far.cancelled


async def test_a_caller_that_goes_away_cancels_what_other_sites_do_for_it():
    clock, far = ManualClock(), a_cloud_node()
    far.does = "hold"
    async with a_mesh(clock, at_cloud=[far]) as (site, cloud):
        query = ask(site)
        await settle()
        assert far.asked
        query.cancel()
        await settle()
        assert far.cancelled == [far.asked[0].id]
        assert cloud.under_way == 0


async def test_bad_tensors_are_the_callers_fault_across_sites():
    far = a_cloud_node()
    far.does = "bad_tensor"
    async with a_mesh(ManualClock(), at_cloud=[far]) as (site, _):
        with pytest.raises(BadRequestError, match="cloud-1 says bad_tensor"):
            await ask(site)


async def test_what_the_parent_could_not_meet_stays_below_and_is_made_warm_there():
    far = a_cloud_node(variants=("mlp-table",))
    far.capacity = far.capacity.model_copy(update={"loaded": ()})
    async with a_mesh(ManualClock(), at_cloud=[far]) as (site, cloud):
        site.parent.reach = cloud.below.reach(cloud.policy, "site-1")
        site.parent.answered(1.0)
        for _ in range(10):
            with pytest.raises(NoCandidateError) as caught:
                await ask(site, latency_ms=8.0)  # the load alone takes 10
        assert "cloud has nothing in time that is accurate enough" in caught.value.rejected
        assert caught.value.fastest_ms is not None
        assert not far.asked
        ordered = []
        cloud.orders.load = lambda candidate: ordered.append(candidate.variant) or True
        cloud.below.missed(site.parent.missed(), "site-1")
        assert ordered == ["mlp-table"]


async def test_a_survey_is_answered_by_the_roster_and_a_ping_by_a_pong():
    network = MemoryNetwork()
    async with a_site(network, ManualClock(), ActedNode()):
        bus, subject = MemoryBus(network), str(RouteSubject("site-1"))
        roster = (await bus.request(subject, Frame(Survey()), 1.0)).message
        assert isinstance(roster, Roster)
        assert [status.advert.node for status in roster.nodes] == ["edge-1"]
        assert isinstance((await bus.request(subject, Frame(Ping()), 1.0)).message, Pong)


async def test_a_site_that_stops_takes_no_more_queries():
    network = MemoryNetwork()
    async with a_site(network, ManualClock(), ActedNode()):
        pass
    with pytest.raises(UnreachableError):
        await MemoryBus(network).request(str(RouteSubject("site-1")), Frame(Ping()), 1.0)
