"""What a bus promises, checked on every bus: in memory, and over a real nats-server."""

import asyncio

import pytest

from edge_agent.bus.base import Bus, Delivery
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.bus.nats import connecting
from protocol.codec import Frame
from protocol.errors import UnreachableError
from protocol.messages import Ask, Asks, Ping, Pong, Refusal, Replies
from protocol.types import Tensor
from tests.conformance.parties import Inbox, buses

PING, PONG = Frame(Ping()), Frame(Pong())
HERE, THERE = "tm.v1.route.here", "tm.v1.route.there"


def numbered(number: int) -> Frame:
    return Frame(Replies(items=(Refusal(id=str(number), reason="draining"),)))


def number_of(delivery: Delivery) -> int:
    assert delivery.frame is not None
    assert isinstance(delivery.frame.message, Replies)
    return int(delivery.frame.message.items[0].id)


async def test_a_frame_arrives_with_its_tensors_and_where_to_reply(url):
    tensor = Tensor(name="x", datatype="UINT8", shape=(1, 3))
    ask = Ask(id="1", variant="v", inputs=(tensor,), budget_ms=1, deadline_ms=1)
    async with buses(url, 2) as (one, two):
        inbox = Inbox()
        async with two.subscribe(HERE, inbox), one.subscribe("_INBOX.me.*", Inbox()):
            one.publish(HERE, Frame(Asks(items=(ask,)), (b"abc",)), "_INBOX.me.1")
            (delivery,) = await inbox.of(1)
    assert delivery.subject == HERE
    assert delivery.reply == "_INBOX.me.1"
    assert delivery.frame is not None
    assert delivery.frame.message == Asks(items=(ask,))
    assert [bytes(buffer) for buffer in delivery.frame.buffers] == [b"abc"]


async def test_publishing_never_calls_a_handler_by_itself(url):
    async with buses(url, 1) as (bus,):
        inbox = Inbox()
        async with bus.subscribe(HERE, inbox):
            bus.publish(HERE, PING)
            assert not inbox.got
            await inbox.of(1)


async def test_frames_of_one_publisher_arrive_in_order(url):
    async with buses(url, 2) as (one, two):
        inbox = Inbox()
        async with two.subscribe(HERE, inbox):
            for number in range(200):
                one.publish(HERE, numbered(number))
            await inbox.of(200)
    assert [number_of(delivery) for delivery in inbox.got] == list(range(200))


async def test_on_entry_the_subscription_is_in_force(url):
    async with buses(url, 2) as (one, two):
        for number in range(50):
            inbox, subject = Inbox(), f"{HERE}-{number}"
            async with two.subscribe(subject, inbox):
                one.publish(subject, PING)
                await inbox.of(1)


async def test_every_subscriber_gets_each_frame_and_one_of_a_queue_does(url):
    async with buses(url, 3) as (one, two, three):
        plain, first, second = Inbox(), Inbox(), Inbox()
        async with (
            one.subscribe(HERE, plain),
            two.subscribe(HERE, first, "routers"),
            three.subscribe(HERE, second, "routers"),
        ):
            for number in range(100):
                one.publish(HERE, numbered(number))
            await plain.of(100)
            await round_trip(one, two, three)
    shared = sorted(number_of(delivery) for delivery in first.got + second.got)
    assert shared == list(range(100))
    assert first.got
    assert second.got


async def round_trip(*parties: Bus) -> None:
    """What was published before has arrived at each party."""
    for party in parties:
        async with party.subscribe(THERE, Inbox()):
            pass


async def test_a_star_stands_for_exactly_one_token(url):
    async with buses(url, 1) as (bus,):
        inbox = Inbox()
        async with bus.subscribe("tm.v1.ctl.site.*.describe", inbox):
            for subject in (
                "tm.v1.ctl.site",
                "tm.v1.ctl.site.a.b.describe",
                "tm.v1.ctl.other.a.describe",
            ):
                bus.publish(subject, PING)
            bus.publish("tm.v1.ctl.site.a.describe", PING)
            await inbox.of(1)
    assert [delivery.subject for delivery in inbox.got] == ["tm.v1.ctl.site.a.describe"]


async def test_nobody_there_is_told_at_once(url):
    async with buses(url, 1) as (bus,):
        inbox, own = Inbox(), bus.inbox()
        async with bus.subscribe(f"{own}.*", inbox):
            bus.publish(HERE, PING, f"{own}.7")
            (delivery,) = await inbox.of(1)
    assert delivery == Delivery(f"{own}.7", None)


async def test_nothing_arrives_after_the_block(url):
    async with buses(url, 2) as (one, two):
        inbox = Inbox()
        async with two.subscribe(HERE, inbox):
            one.publish(HERE, PING)
            await inbox.of(1)
        one.publish(HERE, PING)
        await round_trip(one, two)
    assert len(inbox.got) == 1


async def test_what_has_arrived_is_handled_before_the_block_ends(url):
    async with buses(url, 1) as (bus,):
        inbox = Inbox()
        async with bus.subscribe(HERE, inbox):
            bus.publish(HERE, PING)
            await round_trip(bus)
        assert len(inbox.got) == 1


async def test_a_request_gets_its_reply(url):
    async with (
        buses(url, 2) as (one, two),
        two.subscribe(HERE, lambda d: two.publish(d.reply, PONG)),
    ):
        replies = await asyncio.gather(*(one.request(HERE, PING, 5) for _ in range(20)))
    assert [reply.message for reply in replies] == [Pong()] * 20


async def test_a_request_to_nobody_fails_at_once(url):
    async with buses(url, 1) as (bus,):
        with pytest.raises(UnreachableError, match="nobody"):
            await bus.request(HERE, PING, 60)


async def test_a_request_that_nobody_answers_ends_in_time(url):
    async with buses(url, 1) as (bus,), bus.subscribe(HERE, Inbox()):
        with pytest.raises(UnreachableError, match="no reply"):
            await bus.request(HERE, PING, 0.01)


async def test_inboxes_are_never_shared(url):
    async with buses(url, 2) as (one, two):
        assert len({one.inbox(), one.inbox(), two.inbox(), two.inbox()}) == 4


async def test_the_round_trip_is_measured(url):
    async with buses(url, 1) as (bus,):
        assert bus.connected
        assert 0 <= await bus.rtt_s() < 5


async def test_memory_a_cut_subject_is_silent_until_it_is_mended():
    network = MemoryNetwork()
    bus, inbox = MemoryBus(network), Inbox()
    async with bus.subscribe(HERE, inbox):
        network.cut.add("tm.v1.route")
        bus.publish(HERE, PING, "_INBOX.x")
        with pytest.raises(UnreachableError):
            await bus.request(HERE, PING, 60)
        network.cut.clear()
        bus.publish(HERE, PONG)
        await inbox.of(1)
    assert [delivery.frame for delivery in inbox.got] == [PONG]


@pytest.mark.nats
async def test_nats_comes_back_after_its_server(own_nats):
    async with connecting(own_nats.url, name="test") as bus:
        inbox = Inbox()
        async with bus.subscribe(HERE, inbox):
            own_nats.stop()
            await eventually(lambda: not bus.connected)
            with pytest.raises(UnreachableError):
                bus.publish(HERE, PING)
            own_nats.start()
            await eventually(lambda: bus.connected)
            await bus.rtt_s()
            bus.publish(HERE, PONG)
            assert [delivery.frame for delivery in await inbox.of(1)] == [PONG]


async def eventually(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the connection's state has no event of its own
            await asyncio.sleep(0.01)


@pytest.mark.nats
async def test_nats_drops_what_is_not_a_frame_and_goes_on(nats_url):
    async with connecting(nats_url, name="test") as bus:
        inbox = Inbox()
        async with bus.subscribe(HERE, inbox):
            await bus._client.publish(HERE, b"not a frame")  # noqa: SLF001  # no peer of ours sends that
            bus.publish(HERE, PING)
            await inbox.of(1)
        assert [delivery.frame for delivery in inbox.got] == [PING]
        assert bus.malformed == 1


async def test_a_handler_that_fails_does_not_keep_others_from_theirs(url, caplog):
    async with buses(url, 1) as (bus,):
        inbox = Inbox()

        def fails(delivery: Delivery) -> None:
            inbox(delivery)
            raise RuntimeError("a fault of ours")

        async with bus.subscribe(HERE, fails):
            bus.publish(HERE, PING)
            bus.publish(HERE, PING)
            await inbox.of(2)
        assert "failed" in caplog.text


@pytest.mark.nats
async def test_nats_sends_what_is_left_when_it_ends(nats_url):
    async with connecting(nats_url, name="watcher") as watcher:
        inbox = Inbox()
        async with watcher.subscribe(HERE, inbox):
            async with connecting(nats_url, name="goes") as bus:
                for number in range(50):
                    bus.publish(HERE, numbered(number))
            await inbox.of(50)
    assert [number_of(delivery) for delivery in inbox.got] == list(range(50))


@pytest.mark.nats
async def test_nats_what_the_block_raises_comes_out_as_it_is(nats_url):
    with pytest.raises(KeyError):
        async with connecting(nats_url, name="test"):
            raise KeyError
