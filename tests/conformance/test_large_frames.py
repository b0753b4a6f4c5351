"""Frames above what one message carries arrive all the same, on every bus."""

import asyncio

import pytest

from edge_agent.bus.nats import connecting
from protocol.codec import MAX_FRAME_BYTES, Frame
from protocol.errors import TooLargeError, UnreachableError
from protocol.messages import Asks, Cancel, Ping, Replies
from protocol.parcels import MAX_TENSOR_BYTES
from protocol.types import Tensor
from tests.build import an_answer, an_ask
from tests.conformance.parties import Inbox, buses

HERE = "tm.v1.ask.site-1.edge-1"
LARGE = 20 << 20


def pattern(nbytes: int) -> bytes:
    """Bytes that differ wherever they stand, so that a piece in the wrong place shows."""
    block = b"".join(n.to_bytes(4, "little") for n in range(1 << 16))
    return (block * (nbytes // len(block) + 1))[:nbytes]


def asks(nbytes: int, id_: str = "1", **changes: float) -> Frame:
    tensor = Tensor(name="x", datatype="UINT8", shape=(1, nbytes))
    return Frame(Asks(items=(an_ask(id_, inputs=(tensor,), **changes),)), (pattern(nbytes),))


def replies(nbytes: int, id_: str = "1") -> Frame:
    tensor = Tensor(name="y", datatype="UINT8", shape=(1, nbytes))
    return Frame(Replies(items=(an_answer(id_, outputs=(tensor,)),)), (pattern(nbytes),))


async def test_a_large_frame_arrives_whole_and_says_where_to_reply(url):
    async with buses(url, 2) as (one, two):
        taken, answers, own = Inbox(), Inbox(), one.inbox()
        async with two.subscribe(HERE, taken, "agents"), one.subscribe(f"{own}.*", answers):
            one.publish(HERE, asks(LARGE), f"{own}.1")
            (delivery,) = await taken.of(1)
            two.publish(delivery.reply, replies(LARGE))
            (answer,) = await answers.of(1)
    assert (delivery.subject, delivery.reply) == (HERE, f"{own}.1")
    assert bytes(delivery.frame.buffers[0]) == pattern(LARGE)
    assert (answer.subject, answer.frame.message) == (f"{own}.1", replies(LARGE).message)
    assert bytes(answer.frame.buffers[0]) == pattern(LARGE)


async def test_several_large_frames_at_once_all_arrive(url):
    async with buses(url, 2) as (one, two):
        taken, own = Inbox(), one.inbox()
        async with two.subscribe(HERE, taken), one.subscribe(f"{own}.*", Inbox()):
            for number in range(6):
                one.publish(HERE, asks(MAX_FRAME_BYTES + number, str(number)), f"{own}.1")
            arrived = await taken.of(6)
    assert {d.frame.message.items[0].id: len(d.frame.buffers[0]) for d in arrived} == {
        str(number): MAX_FRAME_BYTES + number for number in range(6)
    }


async def test_a_small_frame_does_not_wait_for_a_large_one(url):
    async with buses(url, 2) as (one, two):
        taken, own = Inbox(), one.inbox()
        async with two.subscribe(HERE, taken), one.subscribe(f"{own}.*", Inbox()):
            one.publish(HERE, asks(MAX_TENSOR_BYTES), f"{own}.1")
            one.publish(HERE, Frame(Ping()), f"{own}.1")
            arrived = await taken.of(2)
    kinds = [delivery.frame.message.kind for delivery in arrived]
    assert kinds == (["ping", "asks"] if url else ["asks", "ping"])


async def test_what_no_gate_takes_is_too_large_at_once(url):
    async with buses(url, 1) as (bus,):
        with pytest.raises(TooLargeError):
            bus.publish(HERE, asks(MAX_TENSOR_BYTES + (2 << 20)), f"{bus.inbox()}.1")


async def test_nobody_there_for_a_large_frame_is_told_at_once(url):
    async with buses(url, 1) as (bus,):
        inbox, own = Inbox(), bus.inbox()
        async with bus.subscribe(f"{own}.*", inbox):
            bus.publish(HERE, asks(LARGE), f"{own}.7")
            (delivery,) = await inbox.of(1)
    assert (delivery.subject, delivery.frame) == (f"{own}.7", None)


async def test_a_large_request_gets_its_large_reply(url):
    async with (
        buses(url, 2) as (one, two),
        two.subscribe(HERE, lambda delivery: two.publish(delivery.reply, replies(LARGE))),
    ):
        reply = await one.request(HERE, asks(LARGE), 10)
        assert bytes(reply.buffers[0]) == pattern(LARGE)
        with pytest.raises(UnreachableError, match="nobody"):
            await one.request(f"{HERE}-2", asks(LARGE), 10)


async def test_a_large_frame_that_somebody_stops_listening_for_is_given_up(url):
    async with buses(url, 2) as (one, two):
        inbox, own = Inbox(), one.inbox()
        async with one.subscribe(f"{own}.*", Inbox()):
            async with two.subscribe(HERE, inbox):
                one.publish(HERE, asks(LARGE), f"{own}.1")
            arrived = len(inbox.got)
            async with two.subscribe(HERE, Inbox()):
                pass
    assert len(inbox.got) == arrived


@pytest.mark.nats
async def test_nats_the_time_that_fetching_takes_counts(nats_url):
    async with connecting(nats_url, name="one") as one, connecting(nats_url, name="two") as two:
        taken, own = Inbox(), one.inbox()
        async with two.subscribe(HERE, taken), one.subscribe(f"{own}.*", Inbox()):
            sent = asks(LARGE, budget_ms=1000.0, deadline_ms=4000.0)
            one.publish(HERE, sent, f"{own}.1")
            (delivery,) = await taken.of(1)
    ask = delivery.frame.message.items[0]
    took_ms = 1000.0 - ask.budget_ms
    assert 0.0 < took_ms < 1000.0
    assert ask.deadline_ms == pytest.approx(4000.0 - took_ms)


@pytest.mark.nats
async def test_nats_what_is_cancelled_is_kept_no_longer(nats_url):
    async with connecting(nats_url, name="one") as one, connecting(nats_url, name="two") as two:
        taken, own = Inbox(), one.inbox()
        async with two.subscribe(HERE, taken), one.subscribe(f"{own}.*", Inbox()):
            one.publish(HERE, asks(LARGE), f"{own}.1")
            one.publish(HERE, Frame(Cancel(ids=("1",))))
            (delivery,) = await taken.of(1)
            assert delivery.frame.message == Cancel(ids=("1",))
            await two.rtt_s()
        assert "Keeping 0 parcels" in repr(one)
        assert "Fetching 0 parcels" in repr(two)


@pytest.mark.nats
async def test_nats_an_answer_is_still_fetched_from_who_is_about_to_leave(nats_url):
    async with connecting(nats_url, name="stays") as stays:
        answers, own = Inbox(), stays.inbox()
        async with stays.subscribe(f"{own}.*", answers):
            async with connecting(nats_url, name="goes") as goes:
                goes.publish(f"{own}.1", replies(LARGE))
            (answer,) = await answers.of(1)
    assert bytes(answer.frame.buffers[0]) == pattern(LARGE)


@pytest.mark.nats
async def test_nats_a_server_that_takes_less_gets_smaller_pieces(own_nats):
    own_nats.stop()
    own_nats.max_payload = "1MB"  # as a server is that nobody has configured
    own_nats.start()
    async with connecting(own_nats.url, name="1") as one, connecting(own_nats.url, name="2") as two:
        taken, own = Inbox(), one.inbox()
        async with two.subscribe(HERE, taken), one.subscribe(f"{own}.*", Inbox()):
            one.publish(HERE, asks(3 << 20), f"{own}.1")
            (delivery,) = await taken.of(1)
    assert bytes(delivery.frame.buffers[0]) == pattern(3 << 20)


async def under_way(bus) -> None:
    """Return when it has begun to fetch."""
    while "Fetching 0" in repr(bus):  # noqa: ASYNC110  # it has no event of its own
        await asyncio.sleep(0)


@pytest.mark.nats
async def test_nats_fetching_ends_with_the_subscription(nats_url):
    async with connecting(nats_url, name="one") as one, connecting(nats_url, name="two") as two:
        own = one.inbox()
        async with one.subscribe(f"{own}.*", Inbox()):
            async with two.subscribe(HERE, Inbox()):
                for number in range(3):
                    one.publish(HERE, asks(MAX_TENSOR_BYTES, str(number)), f"{own}.1")
                await under_way(two)
            assert "Fetching 0 parcels" in repr(two)


@pytest.mark.nats
async def test_nats_a_broker_that_comes_back_lets_the_rest_be_fetched(own_nats):
    async with connecting(own_nats.url, name="1") as one, connecting(own_nats.url, name="2") as two:
        taken, own = Inbox(), one.inbox()
        async with two.subscribe(HERE, taken), one.subscribe(f"{own}.*", Inbox()):
            one.publish(HERE, asks(MAX_TENSOR_BYTES, deadline_ms=30_000.0), f"{own}.1")
            await under_way(two)
            own_nats.stop()
            own_nats.start()
            (delivery,) = await taken.of(1)
    assert bytes(delivery.frame.buffers[0]) == pattern(MAX_TENSOR_BYTES)
