"""What a site goes by: buckets that the topmost makes, or files where there is no server."""

import asyncio

import pytest

from edge_agent import kept
from edge_agent.bus.kv import Entry
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.bus.nats import connecting
from edge_agent.clock import ManualClock, SystemClock, settle
from middle_tier import desired, mirror
from middle_tier.desired import BUCKETS
from middle_tier.register import READY, Register, Tenant


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


@pytest.mark.nats
async def test_a_bucket_that_its_server_lost_is_put_back_and_what_was_deleted_is_not(own_jetstream):
    folder = own_jetstream.folder / "mirrors"
    lost = (Entry("token.a", b"revoked", 3), Entry("tenant.x", b"x", 2), Entry("gone", b"g", 1))
    kept.write(folder / "tenants.json", mirror.dump(lost))
    async with connecting(own_jetstream.url, name="cloud") as bus:
        bucket = await bus.buckets().bucket("tenants", history=8)
        await bucket.put("gone", b"g")
        await bucket.delete("gone")
        await bucket.put("tenant.x", b"newer")
        async with desired.following(bus.buckets(), folder, SystemClock(), top=True) as wanted:
            async with asyncio.timeout(20):
                await wanted.whole.wait()
            assert (await bucket.get("token.a")).value == b"revoked"
            assert (await bucket.get("tenant.x")).value == b"newer"
            assert await bucket.get("gone") is None


async def test_nobody_is_admitted_before_the_whole_of_a_first_listing(tmp_path):
    """Whatever the order of the entries, no turn of the loop sees half of them."""
    buckets, register, seen = MemoryBuckets(), Register(), []
    bucket = await buckets.bucket("tenants")
    await bucket.put(READY, b"{}")
    for number in range(500):
        await bucket.put(f"tenant.t{number}", Tenant(name=f"t{number}").model_dump_json().encode())
    async with mirror.following(bucket, tmp_path / "tenants.json") as followed:
        followed.on_change(lambda entry: register.put(entry.key, entry.value))
        for _ in range(50):
            seen.append((register.heard, len(register.tenants)))
            await asyncio.sleep(0)
    assert set(seen) == {(False, 0), (True, 500)}


@pytest.mark.nats
async def test_nor_is_anybody_when_it_comes_from_a_server(own_jetstream):
    register, seen = Register(), set()
    async with connecting(own_jetstream.url, name="cloud") as bus:
        bucket = await bus.buckets().bucket("first", history=8)
        await bucket.put(READY, b"{}")
        for number in range(600):  # more than one reading
            line = Tenant(name=f"t{number}").model_dump_json().encode()
            await bucket.put(f"tenant.t{number}", line)
        path = own_jetstream.folder / "first.json"
        async with mirror.following(bucket, path) as followed, asyncio.timeout(20):
            followed.on_change(lambda entry: register.put(entry.key, entry.value))
            while not register.heard:
                await asyncio.sleep(0)
                seen.add((register.heard, len(register.tenants)))
    assert seen == {(False, 0), (True, 600)}


async def test_a_register_whose_bucket_was_lost_admits_nobody():
    register = Register()
    register.put(READY, b"{}")
    register.put(READY, None)
    assert not register.heard


async def _all_there(wanted) -> bool:
    states = []
    for name in BUCKETS:
        try:
            states.append(await wanted.bucket(name).state())
        except desired.MeshError:
            states.append(None)
    return None not in states
