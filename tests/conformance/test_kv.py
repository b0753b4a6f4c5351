"""What a bucket promises, checked on every kind: in memory, and in JetStream, its domain named."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Self

import pytest

from edge_agent.bus.kv import Bucket, Buckets, Entry, digest_key
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.bus.nats import connecting
from protocol.errors import BadNameError, ConflictError, TooLargeError

_numbers = count()


def fresh() -> str:
    """A name that no other test uses: servers are shared."""
    return f"test-{next(_numbers)}"


@pytest.fixture(
    params=["memory", *(pytest.param(k, marks=pytest.mark.nats) for k in ("nats", "domain"))]
)
def kind(request):
    url = "" if request.param == "memory" else request.getfixturevalue("nats_url")
    return url, "hub" if request.param == "domain" else None


@asynccontextmanager
async def kept(kind) -> AsyncIterator[Buckets]:
    url, domain = kind
    if not url:
        yield MemoryBuckets()
        return
    async with connecting(url, name="test") as bus:
        yield bus.buckets(domain)


class Seen:
    """Reads a watch beside the test; `until` waits for what is expected."""

    def __init__(self, bucket: Bucket, known=()) -> None:
        self.entries: list[Entry] = []
        self._bucket, self._known = bucket, known
        self._more = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _read(self) -> None:
        async with self._bucket.watch(self._known) as entries:
            async for entry in entries:
                self.entries.append(entry)
                self._more.set()

    async def until(self, **values: bytes | None) -> None:
        async with asyncio.timeout(15):
            while {e.key: e.value for e in self.entries} != values:
                self._more.clear()
                await self._more.wait()


async def test_what_was_put_is_got(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        revision = await bucket.put("a.b", b"\0binary\xff")
        assert await bucket.get("a.b") == Entry("a.b", b"\0binary\xff", revision)
        assert await bucket.get("a.c") is None


async def test_a_bucket_that_exists_is_taken_as_it_is(kind):
    async with kept(kind) as buckets:
        name = fresh()
        await (await buckets.bucket(name, history=3)).put("a", b"1")
        assert await (await buckets.bucket(name)).keys() == ("a",)
        assert await buckets.at(name).keys() == ("a",)


async def test_revisions_grow(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        revisions = [await bucket.put(key, b"x") for key in "aba"]
        assert revisions == sorted(set(revisions))


async def test_a_put_that_expects_another_revision_changes_nothing(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        first = await bucket.put("a", b"1", expected=0)
        second = await bucket.put("a", b"2", expected=first)
        for wrong in (0, first, second + 1):
            with pytest.raises(ConflictError):
                await bucket.put("a", b"3", expected=wrong)
        assert await bucket.get("a") == Entry("a", b"2", second)


async def test_of_two_that_write_at_once_one_is_refused(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        at = await bucket.put("a", b"0")
        writes = (bucket.put("a", value, expected=at) for value in (b"1", b"2"))
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert sorted(isinstance(result, ConflictError) for result in results) == [False, True]


async def test_what_was_deleted_is_gone_and_can_be_made_anew(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh(), history=8)
        await bucket.put("a", b"1")
        await bucket.put("b", b"1")
        await bucket.delete("a")
        assert await bucket.get("a") is None
        assert await bucket.keys() == ("b",)
        await bucket.put("a", b"2", expected=0)
        assert [entry.value for entry in await bucket.history("a")] == [b"1", None, b"2"]


async def test_history_holds_as_many_revisions_as_were_asked_for_and_at_most_64(kind):
    async with kept(kind) as buckets:
        short = await buckets.bucket(fresh(), history=2)
        long = await buckets.bucket(fresh(), history=1000)
        for number in range(66):
            await short.put("a", b"%d" % number)
            await long.put("a", b"%d" % number)
        assert [entry.value for entry in await short.history("a")] == [b"64", b"65"]
        kept_long = await long.history("a")
        assert [entry.value for entry in kept_long] == [b"%d" % n for n in range(2, 66)]
        assert await long.history("b") == ()


async def test_keys_are_more_than_one_reading_holds(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        names = tuple(f"k{number:04}" for number in range(1100))
        for name in names:
            await bucket.put(name, b"")
        assert await bucket.keys() == names


@pytest.mark.parametrize("key", ["", ".a", "a.", "a..b", "a b", "a*", ">", "sha256:ab", "é"])
async def test_what_is_no_key_is_refused(kind, key):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        with pytest.raises(BadNameError):
            await bucket.put(key, b"")
        with pytest.raises(BadNameError):
            await bucket.get(key)


def test_a_digest_becomes_a_key():
    assert digest_key("sha256:00ff") == "sha256-00ff"


async def test_a_watch_gives_what_is_there_and_then_what_changes(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh(), history=5)
        for key, value in (("a", b"1"), ("a", b"2"), ("b", b"1"), ("gone", b"1")):
            await bucket.put(key, value)
        await bucket.delete("gone")
        async with Seen(bucket) as seen:
            await seen.until(a=b"2", b=b"1")
            await bucket.put("c", b"1")
            await bucket.delete("a")
            await seen.until(a=None, b=b"1", c=b"1")
        assert "gone" not in [entry.key for entry in seen.entries]


async def test_a_watch_says_which_of_the_known_keys_are_gone(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        await bucket.put("a", b"1")
        await bucket.put("b", b"1")
        await bucket.delete("b")
        async with Seen(bucket, known=("a", "b", "never")) as seen:
            await seen.until(a=b"1", b=None, never=None)


async def test_a_watch_waits_for_a_bucket_that_is_not_there_yet(kind):
    async with kept(kind) as buckets:
        name = fresh()
        async with Seen(buckets.at(name)) as seen:
            await (await buckets.bucket(name)).put("a", b"1")
            await seen.until(a=b"1")


async def test_two_watches_see_the_same(kind):
    async with kept(kind) as buckets:
        bucket = await buckets.bucket(fresh())
        async with Seen(bucket) as one, Seen(bucket) as two:
            await bucket.put("a", b"1")
            await one.until(a=b"1")
            await two.until(a=b"1")


@pytest.mark.nats
async def test_a_value_that_the_server_would_not_take_is_refused(nats_url):
    async with kept((nats_url, None)) as buckets:
        bucket = await buckets.bucket(fresh())
        with pytest.raises(TooLargeError):
            await bucket.put("a", bytes(8 << 20))
