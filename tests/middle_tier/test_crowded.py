"""A router that finds nobody for a query leaves the node it needed to those who need it as well."""

import asyncio

from edge_agent.bus.memory import MemoryNetwork
from edge_agent.clock import ManualClock, settle
from protocol.types import Price
from tests.build import a_query, a_want
from tests.middle_tier.acted import ActedNode, a_site

IMAGE = bytes(256)


def ask(router, number, latency_ms):
    query = a_query(f"q-{number}", want=a_want(latency_ms=latency_ms), deadline_ms=2000.0)
    return asyncio.ensure_future(router.answer(query, (IMAGE,)))


async def held_by(tight_ms):
    """Four loose queries, one of `tight_ms`, another loose one: how many each node was asked."""
    fast = ActedNode("fast", run_ms=50.0)
    slow = ActedNode("slow", tier="middle", price=Price(usd_per_hour=0.003), run_ms=100.0)
    fast.does = slow.does = "hold"
    clock, asked = ManualClock(), []
    async with a_site(MemoryNetwork(), clock, fast, slow) as router:
        for number, latency_ms in enumerate((900.0,) * 4 + (tight_ms,)):
            asked.append(ask(router, number, latency_ms))
            await settle()
        await clock.advance(0.025)  # no plan of a moment ago serves again
        asked.append(ask(router, 5, 900.0))
        await settle()
        found = [each.budget_ms for each in fast.asked], [each.budget_ms for each in slow.asked]
        fast.answer_held()
        slow.answer_held()
        await asyncio.gather(*asked)
    return found


async def test_after_somebody_was_crowded_out_the_loose_go_elsewhere():
    on_fast, on_slow = await held_by(90.0)
    assert len(on_fast) == 5
    assert min(on_fast) < 100.0
    assert len(on_slow) == 1


async def test_nobody_does_as_long_as_all_are_served():
    assert [len(each) for each in await held_by(900.0)] == [6, 0]
