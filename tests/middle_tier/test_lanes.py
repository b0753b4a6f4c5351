"""The end of a gate: what is asked until then is answered, and nobody meets a reset."""

import asyncio

from edge_agent.clock import ManualClock, settle
from middle_tier.http.lanes import Lanes
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import Wire, a_served, an_inference
from tests.middle_tier.test_fastlane import REQUESTS, Instant, Taken, Wired

CLIENTS = 16


def opened(lanes, data=b""):
    lane, transport = lanes(), Wired()
    lane.connection_made(transport)
    if data:
        lane.data_received(data)
    return lane, transport


async def test_a_request_that_crosses_the_end_is_answered_as_the_last():
    lanes = Lanes(Instant(), ManualClock(), Taken)
    lane, transport = opened(lanes)
    closing = asyncio.ensure_future(lanes.close(grace_s=5, linger_s=5))
    await settle()
    assert transport.closed == ""
    lane.data_received(REQUESTS[0])
    await settle()
    assert transport.written.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in transport.written
    assert transport.closed == "close "
    lane.connection_lost(None)
    await closing


async def test_a_connection_that_has_long_been_idle_is_closed_at_once():
    clock = ManualClock()
    lanes = Lanes(Instant(), clock, Taken)
    lane, transport = opened(lanes)
    await clock.advance(10)
    closing = asyncio.ensure_future(lanes.close(grace_s=5, linger_s=5))
    await settle()
    assert transport.closed == "close "
    lane.connection_lost(None)
    await closing


async def test_what_does_not_finish_is_cut_off():
    lanes = Lanes(Instant(), ManualClock(), Taken)
    _, transport = opened(lanes, REQUESTS[0][:-1])
    await lanes.close(grace_s=0.01, linger_s=0.01)
    assert transport.closed == "abort "


async def test_busy_clients_are_answered_until_they_are_told_to_go():
    served, begun = asyncio.Event(), asyncio.Event()

    async def asks(url, token):
        async with Wire(url) as wire:
            while True:
                got = await wire.ask(an_inference(token=token))
                assert got.status == 200
                begun.set()
                if got.headers.get("connection") == "close":
                    assert await wire.ended()
                    return
                await settle()  # a moment in which nothing is asked

    async def serves(started):
        async with a_served(EchoRouter()) as (url, token):
            started.set_result((url, token))
            await served.wait()

    started = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(serves(started))
        where = await started
        for _ in range(CLIENTS):
            tasks.create_task(asks(*where))
        await begun.wait()
        served.set()
