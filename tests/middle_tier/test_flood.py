"""One tenant floods a mesh through two sites' gates: another within its share notices nothing.

Real gates, routers and agents on stepped time. `test_fairness` has the gates' own rule by itself.
"""

import pytest

from middle_tier.routing import wording
from tests.middle_tier.town import Asks, a_town

RUN_MS = 40.0
CAPACITY = 1000.0 / RUN_MS
"""Queries a second that the one node can answer."""
SECONDS = 6.0


def floods(tenant="flood", latency_ms=1000.0):
    """Ten times the capacity, half of it at each gate."""
    rate = 5 * CAPACITY
    return [
        Asks(tenant, "east", rate, latency_ms),
        Asks(tenant, "west", rate, latency_ms, first_s=0.0003),
    ]


@pytest.mark.parametrize(("flood_ms", "small_ms"), [(1000.0, 200.0), (120.0, 120.0)])
async def test_a_tenant_within_its_share_keeps_its_objective(tmp_path, flood_ms, small_ms):
    small = Asks("small", "east", CAPACITY / 4, small_ms, first_s=0.5)
    flood = floods(latency_ms=flood_ms)
    async with a_town(tmp_path, run_ms=RUN_MS, flood=1.0, small=1.0) as town:
        await town.run(SECONDS, small, *flood)
    assert small.attainment >= 0.99
    answered = small.answered + sum(asks.answered for asks in flood)
    assert answered > 0.7 * CAPACITY * (SECONDS - 1.0), "what others leave is the flood's"


async def test_of_nodes_that_cannot_tell_tenants_apart_it_gets_next_to_nothing(
    tmp_path, monkeypatch
):
    """The mesh is overloaded indeed: else the test above would say nothing."""
    monkeypatch.setattr(wording, "tenant_key", lambda _: "anybody")
    small = Asks("small", "east", CAPACITY / 4, 200.0, first_s=0.5)
    async with a_town(tmp_path, run_ms=RUN_MS, flood=1.0, small=1.0) as town:
        await town.run(SECONDS, small, *floods())
    assert small.attainment < 0.5


async def test_who_asks_seldom_is_let_in_at_once(tmp_path):
    """Nobody has to be refused first for the flood to give way."""
    small = Asks("small", "west", 0.5, 150.0, first_s=1.7)
    async with a_town(tmp_path, run_ms=RUN_MS, flood=1.0, small=1.0) as town:
        await town.run(SECONDS, small, *floods())
    assert small.asked >= 2
    assert small.attainment == 1.0


async def test_of_two_that_flood_the_one_with_the_larger_share_gets_more(tmp_path):
    """How much more at one node: `test_shares`. Here sites hear of queues once a second."""
    large = Asks("large", "east", 3 * CAPACITY, 400.0)
    small = Asks("small", "west", 3 * CAPACITY, 400.0, first_s=0.0003)
    async with a_town(tmp_path, run_ms=RUN_MS, large=3.0, small=1.0) as town:
        await town.run(SECONDS, large, small)
    assert large.answered > 1.5 * small.answered


async def test_a_flood_asks_nodes_in_vain_only_now_and_then(tmp_path):
    small = Asks("small", "east", CAPACITY / 4, 200.0, first_s=0.5)
    flood = floods()
    async with a_town(tmp_path, run_ms=RUN_MS, flood=1.0, small=1.0) as town:
        await town.run(SECONDS, small, *flood)
        counts = town.gates["cloud"][1].counts
    asked = sum(asks.rate for asks in flood) * SECONDS
    assert counts["asks"] < 0.3 * asked
