"""The catalogue in its bucket: whoever sees the newest timestamp has seen what it names."""

import asyncio

import pytest

from edge_agent.bus.memorykv import MemoryBuckets
from middle_tier.announced import NEWEST, CatalogSource, announced, on_news
from middle_tier.mirror import following
from protocol.errors import UnknownError
from tests.signed import a_folder, a_repository, an_updater, table


class Nothing:
    """A source that has no metadata, and says what it was asked for."""

    def __init__(self):
        self.asked = []

    async def read(self, name, _offset, _length):
        self.asked.append(name)
        raise UnknownError(name)


async def settled(mirror):
    """Return when the mirror has the newest state."""
    seen = asyncio.Event()
    mirror.on_change(on_news(seen.set))
    await seen.wait()


async def told(tmp_path, number, repository):
    folder = a_folder(tmp_path / f"built-{number}", data=lambda _: table(number))
    repository.publish(folder, publisher="acme", promote=True)
    updater = an_updater(tmp_path / "cloud", repository)
    await updater.update()
    return updater.told()


async def test_the_timestamp_is_written_last_and_what_is_old_removed(tmp_path):
    repository = a_repository(tmp_path)
    bucket = await MemoryBuckets().bucket("catalog", history=8)
    first = await told(tmp_path, 1, repository)
    await announced(bucket, first)
    assert set(await bucket.keys()) == set(first) >= {NEWEST, "3.snapshot.json"}
    repository.rotate("snapshot")
    second = await told(tmp_path, 2, repository)
    await announced(bucket, second)
    assert set(await bucket.keys()) == set(second) >= {"2.root.json", NEWEST}
    newest = (await bucket.get(NEWEST)).revision
    revisions = [(await bucket.get(name)).revision for name in second]
    assert max(revisions) == newest


async def test_nothing_is_announced_before_there_is_something(tmp_path):
    bucket = await MemoryBuckets().bucket("catalog")
    await announced(bucket, {})
    assert await bucket.keys() == ()
    assert an_updater(tmp_path / "n", a_repository(tmp_path)).told() == {}


async def test_a_site_believes_the_catalogue_as_it_would_a_mirror(tmp_path):
    repository = a_repository(tmp_path)
    files = await told(tmp_path, 1, repository)
    bucket = await MemoryBuckets().bucket("catalog")
    await announced(bucket, files)
    looks = []
    async with following(bucket, tmp_path / "catalog.json") as mirror:
        mirror.on_change(on_news(lambda: looks.append(1)))
        await settled(mirror)
        bytes_elsewhere = Nothing()
        site = an_updater(
            tmp_path / "site", repository, sources=(CatalogSource(mirror, bytes_elsewhere),)
        )
        outcome = await site.update()
    assert looks == [1]
    assert not outcome.whole
    assert site.trusted is not None
    assert {name[:7] for name in bytes_elsewhere.asked} == {"sha256-"}


async def test_a_catalogue_that_somebody_changed_is_refused(tmp_path):
    repository = a_repository(tmp_path)
    files = await told(tmp_path, 1, repository)
    bucket = await MemoryBuckets().bucket("catalog")
    await announced(bucket, files | {NEWEST: files[NEWEST].replace(b"A", b"B")})
    async with following(bucket, tmp_path / "catalog.json") as mirror:
        await settled(mirror)
        site = an_updater(
            tmp_path / "site", repository, sources=(CatalogSource(mirror, Nothing()),)
        )
        assert not (await site.update()).changed
    assert site.trusted is None
    with pytest.raises(UnknownError):
        await CatalogSource(mirror, Nothing()).read("9.root.json", 0, 1)
