"""The same id of the same tenant is not run twice; everything else is."""

import asyncio

from edge_agent.clock import ManualClock
from middle_tier.http.oip import Response
from middle_tier.http.replay import Replays
from protocol.errors import NoCandidateError
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


async def test_a_finished_request_gets_the_same_answer_and_is_not_run_again():
    router = EchoRouter()
    async with a_served(router) as (url, token), Wire(url) as fast, Wire(url, "slow") as slow:
        first = await fast.ask(an_inference(token=token, id="r1"))
        again = await slow.ask(an_inference(token=token, id="r1"))
        assert again.body == first.body
        assert len(router.queries) == 1


async def test_a_duplicate_joins_the_one_in_flight():
    router = EchoRouter(gate=asyncio.Event())
    async with a_served(router) as (url, token), Wire(url) as one, Wire(url) as other:
        for wire in (one, other):
            wire.writer.write(an_inference(token=token, id="r1"))
        await until(lambda: router.queries)
        for _ in range(50):
            await asyncio.sleep(0)
        router.gate.set()
        answers = [await read_answer(wire.reader) for wire in (one, other)]
        assert answers[0].body == answers[1].body
        assert len(router.queries) == 1


async def test_one_of_two_that_wait_may_leave():
    router = EchoRouter(gate=asyncio.Event())
    async with a_served(router) as (url, token), Wire(url) as stays:
        stays.writer.write(an_inference(token=token, id="r1"))
        await until(lambda: router.queries)
        async with Wire(url) as leaves:
            leaves.writer.write(an_inference(token=token, id="r1"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert router.cancelled == 0
        router.gate.set()
        assert (await read_answer(stays.reader)).status == 200


async def test_the_key_of_the_header_counts_before_the_id():
    router = EchoRouter()
    async with a_served(router) as (url, token), Wire(url) as wire:
        path = "/v2/models/double/infer"
        for key in ("k1", "k1", "k2"):
            await wire.ask(a_post(path, a_body(id="same"), token, Idempotency_Key=key))
        assert len(router.queries) == 2


async def test_another_body_under_the_same_id_is_a_conflict():
    async with a_served(EchoRouter()) as (url, token), Wire(url) as wire:
        await wire.ask(an_inference(1, token=token, id="r1"))
        got = await wire.ask(an_inference(2, token=token, id="r1"))
        assert (got.status, got.json["reason"]) == (409, "conflict")
        path = "/v2/models/double/versions/small-fp32/infer"
        assert (await wire.ask(an_inference(1, path, token, id="r1"))).status == 409


async def test_ids_of_two_tenants_have_nothing_to_do_with_each_other():
    router, clock = EchoRouter(), ManualClock()
    async with a_served(router, clock) as (url, token), Wire(url) as wire:
        await wire.ask(an_inference(1, token=token, id="r1"))
        got = await wire.ask(an_inference(2, token=a_token(clock, sub="other"), id="r1"))
        assert got.status == 200
        assert len(router.queries) == 2


async def test_after_a_minute_an_id_is_free_again():
    router, clock = EchoRouter(), ManualClock()
    async with a_served(router, clock) as (url, token), Wire(url) as wire:
        await wire.ask(an_inference(token=token, id="r1"))
        await clock.advance(59)
        await wire.ask(an_inference(token=token, id="r1"))
        assert len(router.queries) == 1
        await clock.advance(1)
        await wire.ask(an_inference(token=token, id="r1"))
        assert len(router.queries) == 2


async def test_what_was_refused_may_be_tried_again_under_its_id():
    router = EchoRouter(fails=NoCandidateError("busy"))
    async with a_served(router) as (url, token), Wire(url) as wire:
        assert (await wire.ask(an_inference(token=token, id="r1"))).status == 503
        router.fails = None
        assert (await wire.ask(an_inference(token=token, id="r1"))).status == 200


async def test_what_is_kept_is_bounded_in_number_and_bytes():
    async def run(size):
        return Response(200, (bytes(size),))

    async with asyncio.TaskGroup() as tasks:
        replays = Replays(ManualClock(), tasks, max_kept=10, max_bytes=1000)
        for number in range(100):
            await replays.once(("t", str(number)), b"", lambda: run(20))
        await asyncio.sleep(0)
        assert repr(replays) == "<Replays 10 kept | 200 bytes>"
        await replays.once(("t", "big"), b"", lambda: run(990))
        await asyncio.sleep(0)
        assert repr(replays) == "<Replays 1 kept | 990 bytes>"
