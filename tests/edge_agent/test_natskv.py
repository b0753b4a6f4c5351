"""Buckets in JetStream over what goes wrong: a server that is gone, a lost store, a cut leaf."""

import asyncio
import shutil

import pytest

from edge_agent.bus import natskv
from edge_agent.bus.nats import connecting
from protocol.errors import UnreachableError
from tests.conformance.test_kv import Seen

pytestmark = pytest.mark.nats


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(natskv, "POLL_S", 0.05)
    monkeypatch.setattr(natskv, "TIMEOUT_S", 0.5)


async def test_a_watch_goes_on_after_the_server_came_back(own_jetstream):
    async with connecting(own_jetstream.url, name="test") as bus:
        bucket = await bus.buckets().bucket("b")
        await bucket.put("a", b"1")
        async with Seen(bucket) as seen:
            await seen.until(a=b"1")
            own_jetstream.stop()
            with pytest.raises(UnreachableError):
                await bucket.put("a", b"2")
            own_jetstream.start()
            await eventually(bucket.put, "a", b"3")
            await seen.until(a=b"3")


async def test_a_bucket_made_anew_says_what_is_gone(own_jetstream):
    async with connecting(own_jetstream.url, name="test") as bus:
        bucket = await bus.buckets().bucket("b")
        for key in ("a", "b", "c"):
            await bucket.put(key, b"1")
        async with Seen(bucket) as seen:
            await seen.until(a=b"1", b=b"1", c=b"1")
            own_jetstream.stop()
            shutil.rmtree(own_jetstream.folder / "streams")
            own_jetstream.start()
            again = await eventually(bus.buckets().bucket, "b")
            await again.put("c", b"2")
            await seen.until(a=None, b=None, c=b"2")


async def test_a_bucket_that_vanished_says_nothing_of_its_keys(own_jetstream):
    async with connecting(own_jetstream.url, name="test") as bus:
        bucket = bus.buckets().at("b")
        await (await bus.buckets().bucket("b")).put("a", b"1")
        async with Seen(bucket) as seen:
            await seen.until(a=b"1")
            own_jetstream.stop()
            shutil.rmtree(own_jetstream.folder / "streams")
            own_jetstream.start()
            assert await eventually(bucket.state) is None
            with pytest.raises(UnreachableError):
                await bucket.get("a")
        assert [entry.value for entry in seen.entries] == [b"1"]


async def test_a_site_reads_and_writes_the_hubs_buckets_through_its_leaf_node(leaf_nats):
    hub, site = leaf_nats
    async with (
        connecting(hub.url, name="cloud") as cloud,
        connecting(site.url, name="site") as below,
    ):
        bucket = await cloud.buckets().bucket("b", history=5)
        far = below.buckets("hub").at("b")
        async with Seen(far) as seen:
            await bucket.put("a", b"from the hub")
            await seen.until(a=b"from the hub")
            entry = await far.get("a")
            assert entry is not None
            await far.put("a", b"from the site", expected=entry.revision)
            await seen.until(a=b"from the site")
        assert [kept.value for kept in await bucket.history("a")] == [
            b"from the hub",
            b"from the site",
        ]


async def test_a_site_sees_what_changed_while_its_uplink_was_cut(leaf_nats):
    hub, site = leaf_nats
    async with connecting(site.url, name="site") as below:
        far = below.buckets("hub").at("b")
        async with connecting(hub.url, name="cloud") as cloud:
            bucket = await cloud.buckets().bucket("b")
            await bucket.put("a", b"1")
            await bucket.put("b", b"1")
        async with Seen(far) as seen:
            await seen.until(a=b"1", b=b"1")
            hub.stop()
            with pytest.raises(UnreachableError):
                await far.get("a")
            hub.start()
            async with connecting(hub.url, name="cloud") as cloud:
                bucket = cloud.buckets().at("b")
                await eventually(bucket.put, "a", b"2")
                await bucket.delete("b")
                await seen.until(a=b"2", b=None)


async def test_there_is_no_bucket_where_there_is_no_jetstream(own_jetstream):
    async with connecting(own_jetstream.url, name="test") as bus:
        with pytest.raises(UnreachableError):
            await bus.buckets("nowhere").bucket("b")
        with pytest.raises(UnreachableError):
            await bus.buckets("nowhere").at("b").get("a")


async def eventually(call, *args):
    """What `call` returns once the server can be reached."""
    async with asyncio.timeout(15):
        while True:
            try:
                return await call(*args)
            except UnreachableError:
                await asyncio.sleep(0.05)
