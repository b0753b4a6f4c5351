"""What a site goes by: buckets that the topmost makes, or files where there is no server."""

import pytest

from edge_agent.bus.kv import Entry
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.bus.nats import connecting
from edge_agent.clock import ManualClock, settle
from middle_tier import desired
from middle_tier.desired import BUCKETS


async def test_a_site_of_one_keeps_its_desired_state_across_starts(tmp_path):
    async with desired.following(MemoryBuckets(), tmp_path, ManualClock(), top=True) as wanted:
        await wanted.bucket("policy").put("policy", b"1")
        await settle()
    async with desired.following(MemoryBuckets(), tmp_path, ManualClock(), top=True) as wanted:
        assert wanted.mirror("policy").entries["policy"].value == b"1"
        await settle()
        assert await wanted.bucket("policy").get("policy") == Entry("policy", b"1", 1)


@pytest.mark.nats
async def test_the_topmost_site_makes_every_bucket_even_when_its_server_comes_late(own_jetstream):
    clock, folder = ManualClock(), own_jetstream.folder
    async with connecting(own_jetstream.url, name="cloud") as bus:
        own_jetstream.stop()
        buckets = bus.buckets()
        async with desired.following(buckets, folder, clock, top=True) as wanted:
            own_jetstream.start()
            for _ in range(100):
                if await _all_there(wanted):
                    break
                await clock.advance(desired.RETRY_S)
            assert await _all_there(wanted)


async def _all_there(wanted) -> bool:
    states = []
    for name in BUCKETS:
        try:
            states.append(await wanted.bucket(name).state())
        except desired.MeshError:
            states.append(None)
    return None not in states
