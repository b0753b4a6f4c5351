"""The fast lane as a protocol: any splitting, pipelining, clients that stall, leave or lie."""

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock, settle
from middle_tier.http.fastlane import Lane
from middle_tier.http.ingress import Limits
from middle_tier.http.lanes import Lanes
from middle_tier.http.oip import Response
from middle_tier.http.pending import Awaited
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import (
    Wire,
    a_body,
    a_post,
    a_served,
    a_token,
    an_inference,
    read_answer,
    until,
)

INFER = "/v2/models/double/infer"


class Wired(asyncio.Transport):
    """A transport without a network: what was written, and what the lane asked of it."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.protocol = None
        self.reading = True
        self.closed = ""

    def write(self, data):
        self.written += data

    def writelines(self, parts):
        self.written += b"".join(parts)

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def set_protocol(self, protocol):
        self.protocol = protocol

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.closed += "eof "

    def close(self):
        self.closed += "close "

    def abort(self):
        self.closed += "abort "


class Taken(asyncio.Protocol):
    """Stands where aiohttp's protocol would."""

    def __init__(self):
        self.got = b""

    def data_received(self, data):
        self.got += data


class Instant:
    """An inference that answers with its body's length, in the next turn."""

    def __init__(self):
        self.calls = []

    def begin(self, call, body):
        self.calls.append((call.task, call.variant, bytes(body)))

        async def answer():
            await asyncio.sleep(0)
            return Response(200, (b"%d" % len(body),))

        return Awaited(answer())


def a_lane():
    inference = Instant()
    lane = Lane(Lanes(inference, ManualClock(), Taken))
    transport = Wired()
    lane.connection_made(transport)
    return lane, transport, inference


def answers(written):
    """The bodies of the responses in `written`."""
    return [part.split(b"\r\n\r\n")[1] for part in written.split(b"HTTP/1.1 200 OK")[1:]]


REQUESTS = [
    a_post("/v2/models/double/infer", b"x" * 40),
    a_post("/v2/models/double/versions/a.b/infer", b"y" * 7, Authorization="Bearer t"),
    a_post("/v2/models/pair/infer", b'{"\r\n\r\n": 1}'),
]
CALLS = [
    ("double", None, b"x" * 40),
    ("double", "a.b", b"y" * 7),
    ("pair", None, b'{"\r\n\r\n": 1}'),
]
STREAM = b"".join(REQUESTS)


@settings(max_examples=150, deadline=None)
@given(st.sets(st.integers(1, len(STREAM) - 1), max_size=12), st.booleans())
def test_requests_are_read_alike_however_they_are_split(cuts, waits):
    async def feed():
        lane, transport, inference = a_lane()
        edges = [0, *sorted(cuts), len(STREAM)]
        for start, end in pairwise(edges):
            lane.data_received(STREAM[start:end])
            if waits:
                await settle(3)
        await settle()
        assert inference.calls == CALLS
        assert answers(transport.written) == [b"40", b"7", b"%d" % len(CALLS[2][2])]

    asyncio.run(feed())


async def test_a_request_may_be_split_at_every_single_byte():
    for cut in range(1, len(REQUESTS[1])):
        lane, _, inference = a_lane()
        lane.data_received(REQUESTS[1][:cut])
        lane.data_received(REQUESTS[1][cut:])
        await settle(3)
        assert inference.calls == [CALLS[1]], cut


async def test_a_request_may_come_byte_by_byte():
    lane, _, inference = a_lane()
    for at in range(len(STREAM)):
        lane.data_received(STREAM[at : at + 1])
        await settle(3)
    assert inference.calls == CALLS


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(REQUESTS[1])))
def test_rubbish_is_handed_over_or_waited_for_and_never_raises(rubbish, at):
    async def feed():
        lane, transport, _ = a_lane()
        lane.data_received(REQUESTS[1][:at] + rubbish)
        await settle(4)
        lane.connection_lost(None)
        whole = transport.protocol is None or transport.protocol.got
        assert whole is True or (REQUESTS[1][:at] + rubbish).endswith(whole)

    asyncio.run(feed())


UNUSUAL = [
    b"GET /v2/models/double HTTP/1.1\r\nHost: g\r\n\r\n",
    b"POST /v2/models/double/infer HTTP/1.0\r\nHost: g\r\nContent-Length: 1\r\n\r\nx",
    b"POST /v2/models/double/infer HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /v2/models/double/infer HTTP/1.1\r\nHost: g\r\n\r\n",
    b"POST /v2/models/double/infer HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
    a_post(INFER, b"x", Expect="100-continue"),
    a_post(INFER, b"x", Content_Encoding="gzip"),
    a_post(INFER, b"x", Upgrade="websocket"),
    a_post(INFER, b"x", content_length="1"),
    a_post(INFER, b"x", Content_Length="2"),
    a_post(INFER + "?a=b", b"x"),
    a_post("/v2/models/dou%62le/infer", b"x"),
    a_post("/v2/models//infer", b"x"),
    a_post("/v2/models/double/other", b"x"),
    b"POST /v2/models/double/infer HTTP/1.1\r\nBad Header: x\r\nHost: g\r\n\r\n",
    b"\x16\x03\x01 tls, not http",
]


async def test_anything_unusual_is_handed_over_whole_and_for_good():
    for request in UNUSUAL:
        lane, transport, inference = a_lane()
        lane.data_received(REQUESTS[0])
        await settle(4)
        lane.data_received(request)
        assert transport.protocol is not None, request
        assert transport.protocol.got == request
        assert inference.calls == [CALLS[0]]


async def test_a_stream_is_not_read_ahead_without_end():
    lane, transport, inference = a_lane()
    lane.data_received(REQUESTS[0] * 1200)
    assert transport.reading
    lane.data_received(REQUESTS[0] * 10)
    assert not transport.reading
    await settle(5000)
    assert transport.reading
    assert len(inference.calls) == 1210


async def test_a_client_that_does_not_read_gets_no_further_answer_until_it_does():
    lane, transport, inference = a_lane()
    lane.pause_writing()
    lane.data_received(REQUESTS[0] * 3)
    await settle()
    assert inference.calls == []
    lane.resume_writing()
    await settle()
    assert answers(transport.written) == [b"40"] * 3


async def test_too_long_a_head_is_refused():
    lane, transport, _ = a_lane()
    lane.data_received(b"POST /v2/models/double/infer HTTP/1.1\r\nA: " + b"x" * (16 << 10))
    assert transport.written.startswith(b"HTTP/1.1 431 ")
    assert transport.closed == "eof "
    lane.data_received(REQUESTS[0])
    assert transport.written.count(b"HTTP/1.1") == 1


async def test_idle_and_stuck_connections_are_closed_by_the_sweep():
    clock = ManualClock()
    lanes = Lanes(Instant(), clock, Taken)

    def opened(data):
        lane, transport = lanes(), Wired()
        lane.connection_made(transport)
        lane.data_received(data)
        return transport

    idle, head, body = opened(b""), opened(REQUESTS[0][:20]), opened(REQUESTS[0][:-1])
    await clock.advance(29)
    lanes.sweep(idle_s=75, stall_s=30)
    assert (idle.closed, head.closed, body.closed) == ("", "", "")
    await clock.advance(1)
    lanes.sweep(idle_s=75, stall_s=30)
    assert (idle.closed, head.closed, body.closed) == ("", "abort ", "abort ")
    await clock.advance(45)
    lanes.sweep(idle_s=75, stall_s=30)
    assert idle.closed == "close "


# Over real sockets.


async def test_pipelined_requests_are_answered_in_order_through_both_lanes():
    router = EchoRouter()
    async with a_served(router) as (url, token), Wire(url) as wire:
        rows = [1, 2, 3, 4]
        chunked = (
            f"POST {INFER} HTTP/1.1\r\nHost: g\r\nAuthorization: {token}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode()
        body = a_body(5)
        chunked += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        ahead = [an_inference(n, token=token) for n in rows]
        wire.writer.write(b"".join([*ahead, chunked, an_inference(6, token=token)]))
        got = [await read_answer(wire.reader) for _ in range(6)]
        assert [a.json["outputs"][0]["shape"][0] for a in got] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("lane", ["fast", "slow"])
async def test_a_client_that_leaves_cancels_its_query(lane):
    router = EchoRouter(gate=asyncio.Event())
    async with a_served(router) as (url, token):
        async with Wire(url, lane) as wire:
            wire.writer.write(an_inference(token=token))
            await until(lambda: router.queries)
        await until(lambda: router.cancelled == 1)


async def test_connection_close_is_kept():
    async with a_served(EchoRouter()) as (url, token), Wire(url) as wire:
        got = await wire.ask(a_post(INFER, a_body(), token, Connection="close"))
        assert got.headers["connection"] == "close"
        assert await wire.ended()


async def test_http_1_0_is_answered_and_closed():
    async with a_served(EchoRouter()) as (url, token), Wire(url) as wire:
        request = an_inference(token=token).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        assert (await wire.ask(request)).status == 200
        assert await wire.ended()


async def test_bad_http_is_refused_in_the_shape_of_every_error():
    async with a_served(EchoRouter()) as (url, _), Wire(url) as wire:
        got = await wire.ask(b"POST /v2/models/double/infer HTTP/1.1\r\nBad Header: x\r\n\r\n")
        assert got.status == 400
        assert set(json.loads(got.body)) == {"error", "reason", "hint"}
        assert await wire.ended()


async def test_stopping_finishes_what_is_under_way():
    router = EchoRouter(gate=asyncio.Event())
    clock = ManualClock()
    served = a_served(router, clock)
    url, token = await served.__aenter__()
    async with Wire(url) as busy, Wire(url) as idle, Wire(url, "slow") as slow:
        busy.writer.write(an_inference(token=token))
        slow.writer.write(an_inference(token=token))
        await until(lambda: len(router.queries) == 2)
        stopping = asyncio.create_task(served.__aexit__(None, None, None))
        assert await idle.ended()
        router.gate.set()
        got = await read_answer(busy.reader)
        assert (got.status, got.headers["connection"]) == (200, "close")
        assert (await read_answer(slow.reader)).status == 200
        await stopping


async def test_stopping_does_not_wait_for_ever():
    router = EchoRouter(gate=asyncio.Event())
    served = a_served(router, limits=Limits(grace_s=0.01))
    url, token = await served.__aenter__()
    async with Wire(url) as wire:
        wire.writer.write(an_inference(token=token))
        await until(lambda: router.queries)
        await served.__aexit__(None, None, None)
    assert router.cancelled == 1


async def test_a_token_is_verified_once_and_still_expires():
    clock = ManualClock()
    token = a_token(clock, exp=int(clock.wall()) + 60)
    async with a_served(EchoRouter(), clock) as (url, _), Wire(url) as wire:
        assert (await wire.ask(an_inference(token=token))).status == 200
        assert (await wire.ask(an_inference(token=token))).status == 200
        await clock.advance(70)
    async with a_served(EchoRouter(), clock) as (url, _), Wire(url) as wire:
        assert (await wire.ask(an_inference(token=token))).status == 401
