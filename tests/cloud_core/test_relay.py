"""The relay: what goes in comes out, later, in order; and ends travel."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from cloud_core.relay import BURST_S, Endpoint, Lane, Relay, Shape, entered, relaying
from cloud_core.relay_control import changed, controlling
from protocol.errors import BadRequestError

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_half_of_the_delay_is_added_each_way():
    assert Lane().due(Shape(delay_ms=40), now=100.0, size=9) == pytest.approx(100.020)


def test_bandwidth_is_shared_and_waits_for_what_is_before_it():
    lane, shape = Lane(), Shape(bandwidth_mbps=8)  # 1 MB/s
    first = lane.due(shape, now=100.0, size=10_000)
    second = lane.due(shape, now=100.0, size=10_000)
    assert first == pytest.approx(100.010 - BURST_S)
    assert second - first == pytest.approx(0.010)


def test_an_idle_link_saves_no_more_than_its_burst():
    assert entered(0.0, now=1000.0, size=1_000_000, mbps=8) == pytest.approx(1001.0 - BURST_S)


def test_only_the_given_fields_change():
    shape = changed(Shape(delay_ms=40, bandwidth_mbps=10), b'{"cut": true}')
    assert shape == Shape(delay_ms=40, bandwidth_mbps=10, cut=True)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"delay_ms": -1}', "delay_ms"),
        (b'{"bandwidth_mbps": "fast"}', "bandwidth_mbps"),
        (b'{"cut": 1}', "cut"),
        (b'{"loss": 0.1}', "loss"),
        (b'{"delay_ms": NaN}', "delay_ms"),
        (b"", "body"),
        (b"[]", "body"),
    ],
)
def test_a_bad_shape_is_refused_and_named(body, named):
    with pytest.raises(BadRequestError, match=named):
        changed(Shape(), body)


@asynccontextmanager
async def echoing() -> AsyncIterator[Endpoint]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        echoes.append(asyncio.current_task())
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    echoes = []
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.gather(*echoes)


@asynccontextmanager
async def connected(
    relay: Relay,
) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(relay.address.host, relay.address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_bytes_come_back_whole_in_order_and_late():
    sent = bytes(range(256)) * 4000
    async with (
        echoing() as target,
        relaying("r", target, shape=Shape(delay_ms=30)) as relay,
        connected(relay) as (reader, writer),
    ):
        started = time.monotonic()
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        assert time.monotonic() - started >= 0.030  # a floor, not a race
        assert repr(relay) == "<Relay r | 30 ms | 0 Mbit/s | 1 connections>"


async def test_what_was_sent_before_the_end_arrives():
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        target = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        async with relaying("r", target, shape=Shape(delay_ms=20)) as relay:
            async with connected(relay) as (_, writer):
                writer.write(b"last words")
            assert await heard == b"last words"


async def test_when_the_client_dies_the_server_is_told():
    told = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        told.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        target = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        async with relaying("r", target) as relay, connected(relay) as (_, writer):
            writer.transport.abort()
            async with asyncio.timeout(5):
                await told.wait()


async def test_when_the_server_dies_the_client_is_told():
    async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0) as server:
        target = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        async with relaying("r", target) as relay, connected(relay) as (reader, _):
            async with asyncio.timeout(5):
                assert await reader.read() == b""


async def test_nobody_behind_it_ends_the_connection(free_port):
    target = Endpoint("127.0.0.1", free_port)
    async with relaying("r", target) as relay, connected(relay) as (reader, _):
        assert await reader.read() == b""


async def test_a_cut_drops_what_is_there_and_refuses_what_comes():
    async with echoing() as target, relaying("r", target) as relay:
        async with connected(relay) as (reader, writer):
            writer.write(b"x")
            await reader.readexactly(1)
            relay.reshape(Shape(cut=True))
            assert await reader.read() == b""
        async with connected(relay) as (reader, _):
            assert await reader.read() == b""
        relay.reshape(Shape())
        async with connected(relay) as (reader, writer):
            writer.write(b"back")
            assert await reader.readexactly(4) == b"back"


async def test_a_reader_that_does_not_read_stops_the_writer():
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # noqa: SLF001  # a peer that takes nothing
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as server:
        target = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        async with relaying("r", target) as relay, connected(relay) as (_, writer):
            writer.write(bytes(64 << 20))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await writer.drain()
            gone.set()
            writer.transport.abort()


async def test_the_control_shows_and_changes_the_shape():
    async with (
        echoing() as target,
        relaying("edge-middle", target, shape=Shape(delay_ms=2)) as relay,
        controlling(relay) as url,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"{url}/edge-middle") as answer:
            shape = {"delay_ms": 2, "bandwidth_mbps": 0, "cut": False}
            assert await answer.json() == shape
        for method in ("PUT", "POST", "PATCH"):
            async with session.request(
                method, f"{url}/edge-middle", json={"delay_ms": 7}
            ) as answer:
                assert (answer.status, (await answer.json())["delay_ms"]) == (200, 7)
        assert relay.shape == Shape(delay_ms=7)
        async with session.put(f"{url}/edge-middle", json={"delay": 7}) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (400, "malformed")
        async with session.get(f"{url}/nowhere") as answer:
            assert answer.status == 404
