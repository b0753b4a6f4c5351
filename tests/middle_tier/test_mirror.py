"""A mirror knows what its bucket said last: through a cut, a restart, and a spoilt file."""

import asyncio

import pytest

from edge_agent.bus import natskv
from edge_agent.bus.kv import Entry
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.bus.nats import connecting
from edge_agent.clock import settle
from middle_tier import mirror
from middle_tier.mirror import following


class Told:
    def __init__(self) -> None:
        self.values: list[tuple[str, bytes | None]] = []
        self._more = asyncio.Event()

    def __call__(self, entry: Entry) -> None:
        self.values.append((entry.key, entry.value))
        self._more.set()

    async def until(self, *values: tuple[str, bytes | None]) -> None:
        async with asyncio.timeout(15):
            while self.values != list(values):
                self._more.clear()
                await self._more.wait()


async def test_a_mirror_tells_what_is_there_and_what_changes(tmp_path):
    bucket = await MemoryBuckets().bucket("b")
    await bucket.put("a", b"1")
    told = Told()
    async with following(bucket, tmp_path / "b.json") as followed:
        followed.on_change(told)
        await told.until(("a", b"1"))
        await bucket.put("b", b"1")
        await bucket.delete("a")
        await told.until(("a", b"1"), ("b", b"1"), ("a", None))
        assert set(followed.entries) == {"b"}


async def test_who_asks_late_is_told_everything_that_exists(tmp_path):
    bucket = await MemoryBuckets().bucket("b")
    await bucket.put("a", b"1")
    async with following(bucket, tmp_path / "b.json") as followed:
        await settle()
        told = Told()
        followed.on_change(told)
        assert told.values == [("a", b"1")]


async def test_what_was_known_is_there_at_once_after_a_restart(tmp_path):
    bucket = await MemoryBuckets().bucket("b")
    await bucket.put("a", b"\xff")
    told = Told()
    async with following(bucket, tmp_path / "b.json") as followed:
        followed.on_change(told)
        await told.until(("a", b"\xff"))
    never = MemoryBuckets().at("b")
    assert mirror.Mirror(never, tmp_path / "b.json").entries == {"a": Entry("a", b"\xff", 1)}


async def test_what_was_deleted_during_the_restart_is_gone(tmp_path):
    bucket = await MemoryBuckets().bucket("b")
    await bucket.put("a", b"1")
    told = Told()
    async with following(bucket, tmp_path / "b.json") as followed:
        followed.on_change(told)
        await told.until(("a", b"1"))
    await bucket.delete("a")
    async with following(bucket, tmp_path / "b.json") as followed:
        again = Told()
        followed.on_change(again)
        await again.until(("a", b"1"), ("a", None))
    assert mirror.load(tmp_path / "b.json") == ()


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[1]", b'{"a": 1}', b'{"a": [1, "?"]}', b"\xff"])
async def test_a_spoilt_file_is_as_none(tmp_path, spoilt):
    path = tmp_path / "b.json"
    path.write_bytes(spoilt)
    assert mirror.load(path) == ()


async def test_an_older_version_never_overwrites_a_newer_one(tmp_path):
    followed = mirror.Mirror(MemoryBuckets().at("b"), tmp_path / "b.json")
    followed.save(2, [Entry("a", b"new", 2)])
    followed.save(1, [Entry("a", b"old", 1)])
    assert mirror.load(tmp_path / "b.json") == (Entry("a", b"new", 2),)


async def test_a_full_disk_ends_nothing(tmp_path, caplog):
    (tmp_path / "no-folder").write_bytes(b"")
    bucket = await MemoryBuckets().bucket("b")
    told = Told()
    async with following(bucket, tmp_path / "no-folder" / "b.json") as followed:
        followed.on_change(told)
        await bucket.put("a", b"1")
        await told.until(("a", b"1"))
    assert "not up to date" in caplog.text


@pytest.mark.nats
async def test_a_site_keeps_its_last_through_a_cut_and_a_restart_meanwhile(
    leaf_nats, tmp_path, monkeypatch
):
    monkeypatch.setattr(natskv, "POLL_S", 0.05)
    monkeypatch.setattr(natskv, "TIMEOUT_S", 0.5)
    hub, site = leaf_nats
    path = tmp_path / "b.json"
    async with connecting(site.url, name="site") as bus:
        far = bus.buckets("hub").at("b")
        async with connecting(hub.url, name="cloud") as cloud:
            await (await cloud.buckets().bucket("b")).put("a", b"1")
        told = Told()
        async with following(far, path) as followed:
            followed.on_change(told)
            await told.until(("a", b"1"))
            hub.stop()
        async with following(far, path) as followed:
            again = Told()
            followed.on_change(again)
            assert again.values == [("a", b"1")]
            hub.start()
            async with connecting(hub.url, name="cloud") as cloud:
                await cloud.buckets().at("b").put("a", b"2")
            await again.until(("a", b"1"), ("a", b"2"))
