"""Budgets, tiers and tenants through both lanes of HTTP."""

import asyncio

import pytest

from edge_agent.clock import ManualClock
from middle_tier.gate import Gate
from middle_tier.register import READY, Register, Tenant
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import (
    SIGNING_KEY,
    Wire,
    a_body,
    a_post,
    a_served,
    a_token,
    an_inference,
    until,
)


@pytest.fixture(params=["fast", "slow"])
def lane(request):
    return request.param


def a_tenants_gate(clock, **fields):
    register = Register()
    register.put("tenant.acme", Tenant(name="acme", **fields).model_dump_json().encode())
    register.put(READY, b"{}")
    return Gate({"k1": SIGNING_KEY.public_key()}, clock, register=register)


async def test_past_the_rate_it_is_429_with_when_to_come_back(lane):
    clock = ManualClock()
    gate = a_tenants_gate(clock, budget={"queries_per_s": 2})
    async with a_served(EchoRouter(), clock, gate) as (url, token), Wire(url, lane) as wire:
        statuses = [(await wire.ask(an_inference(token=token))).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = await wire.ask(an_inference(token=token))
        assert refused.headers["retry-after"] == "1"
        assert refused.json["reason"] == "over_budget"
        assert "ask your operator" in refused.json["hint"]
        await clock.advance(0.5)
        assert (await wire.ask(an_inference(token=token))).status == 200


async def test_a_query_that_is_refused_unread_costs_the_others_nothing(lane):
    clock = ManualClock()
    gate = a_tenants_gate(clock, budget={"queries_per_s": 1})
    router = EchoRouter()
    async with a_served(router, clock, gate) as (url, token), Wire(url, lane) as wire:
        await wire.ask(an_inference(token=token))
        assert (await wire.ask(a_post("/v2/models/double/infer", b"{", token))).status == 429
    assert len(router.queries) == 1


@pytest.mark.parametrize("ends", ["answered", "failed", "left"])
async def test_concurrency_is_given_back_however_a_query_ends(lane, ends):
    clock, router = ManualClock(), EchoRouter(gate=asyncio.Event())
    gate = a_tenants_gate(clock, budget={"concurrency": 1})
    if ends == "failed":
        router.fails = RuntimeError("inside")
    async with a_served(router, clock, gate) as (url, token):
        async with Wire(url, lane) as first, Wire(url, lane) as second:
            first.writer.write(an_inference(token=token))
            await until(lambda: router.queries)
            assert (await second.ask(an_inference(token=token))).status == 429
            if ends != "left":
                router.gate.set()
                await first.reader.readuntil(b"\r\n\r\n")
        account = gate.caller(token).accounts[0]
        await until(lambda: account.running == 0)
        router.gate.set()
        router.fails = None
        async with Wire(url, lane) as third:
            assert (await third.ask(an_inference(token=token))).status == 200


async def test_a_repeated_id_is_one_query_of_the_budget(lane):
    clock, router = ManualClock(), EchoRouter()
    gate = a_tenants_gate(clock, budget={"concurrency": 1})
    async with a_served(router, clock, gate) as (url, token), Wire(url, lane) as wire:
        for _ in range(3):
            assert (await wire.ask(an_inference(token=token, id="same"))).status == 200
        assert len(router.queries) == 1
        assert gate.caller(token).accounts[0].running == 0


async def test_a_days_cost_once_spent_is_429_until_midnight(lane):
    clock = ManualClock()
    gate = a_tenants_gate(clock, budget={"usd_per_day": 1.5e-7})  # an answer costs 1e-7
    async with a_served(EchoRouter(), clock, gate) as (url, token), Wire(url, lane) as wire:
        statuses = [(await wire.ask(an_inference(token=token))).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        midnight_s = 86_400 - clock.wall() % 86_400
        refused = await wire.ask(an_inference(token=token))
        assert int(refused.headers["retry-after"]) == pytest.approx(midnight_s, abs=1)


async def test_only_the_tiers_that_both_permit_reach_the_planner(lane):
    clock, router = ManualClock(), EchoRouter()
    gate = a_tenants_gate(clock, tiers=("edge", "middle"))
    async with a_served(router, clock, gate) as (url, _), Wire(url, lane) as wire:
        for tiers in (None, ["middle", "cloud"], ["cloud"]):
            await wire.ask(an_inference(token=a_token(clock, tiers=tiers)))
    assert [query.tiers for query in router.queries] == [("edge", "middle"), ("middle",), ()]


async def test_dry_runs_are_of_the_rate_too():
    clock = ManualClock()
    gate = a_tenants_gate(clock, budget={"queries_per_s": 1})
    async with a_served(EchoRouter(), clock, gate) as (url, token), Wire(url) as wire:
        plan = a_post("/v1/plan", b'{"task": "double"}', token)
        assert [(await wire.ask(plan)).status for _ in range(2)] == [200, 429]


async def test_refusals_over_budget_are_counted_and_are_nobodys_queries():
    clock = ManualClock()
    gate = a_tenants_gate(clock, budget={"queries_per_s": 1}, scopes=("ask", "operate"))
    async with a_served(EchoRouter(), clock, gate) as (url, _), Wire(url) as wire:
        token = a_token(clock, scopes=["ask", "operate"])
        for _ in range(3):
            await wire.ask(a_post("/v2/models/double/infer", a_body(), token))
        head = f"GET /metrics HTTP/1.1\r\nHost: gate\r\nAuthorization: {token}\r\n\r\n"
        text = (await wire.ask(head.encode())).body.decode()
    assert 'outcome="over_budget",task="double",tier=""} 2.0' in text
    assert "acme" not in text
