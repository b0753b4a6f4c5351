"""The repository's bytes in JetStream: kept, restored when the folder is lost, never believed."""

import shutil

import nats
import pytest
from nats.js.api import ObjectStoreConfig

from cloud_core.registry.vault import OBJECTS, Vault
from edge_agent.audit import Remembered
from edge_agent.bundles.sources import BLOBS, METADATA, MeshSource
from edge_agent.bus.nats import connecting
from middle_tier.announced import CATALOG, announced
from middle_tier.blobs import Mirror
from protocol.errors import UntrustedError
from tests.signed import a_folder, a_repository, an_updater, table

pytestmark = pytest.mark.nats

LARGE = 3_000_000
"""More chunks than are asked for at once."""


@pytest.fixture
def repository(tmp_path):
    made = a_repository(tmp_path)
    built = a_folder(tmp_path / "built", "mlp-table", data=lambda _: table(LARGE))
    made.publish(built, publisher="acme")
    return made


async def a_vault(bus, repository, root=None, audit=None):
    return Vault(
        repository.store, bus.objects(OBJECTS), await bus.buckets().bucket(CATALOG),
        root=root or repository.store.first_root(), audit=audit or Remembered(),
    )  # fmt: skip


def blobs(repository):
    folder = repository.store.folder / BLOBS
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def catalogued(bus, folder, repository):
    """What the cloud's announcer has put into the catalogue."""
    cloud = an_updater(folder, repository)
    await cloud.update()
    await announced(await bus.buckets().bucket(CATALOG), cloud.told())


async def test_a_site_still_gets_a_bundle_whose_bytes_the_clouds_folder_has_lost(
    own_jetstream, repository, tmp_path
):
    async with connecting(own_jetstream.url, name="test") as bus:
        vault = await a_vault(bus, repository)
        await vault.look()
        before = blobs(repository)
        assert await bus.objects(OBJECTS).names() == set(before)
        shutil.rmtree(repository.store.folder / BLOBS)
        await vault.look()
        assert blobs(repository) == before
        cloud = an_updater(tmp_path / "cloud", repository)
        await cloud.update()
        site = an_updater(tmp_path / "site", repository, sources=(MeshSource(bus, "cloud"),))
        async with Mirror(bus, cloud).serving("cloud"):
            assert (await site.update()).changed
        assert site.depot.read(max(before, key=lambda name: len(before[name])))


async def test_a_repository_that_is_lost_whole_comes_back(own_jetstream, repository, tmp_path):
    async with connecting(own_jetstream.url, name="test") as bus:
        vault = await a_vault(bus, repository)
        await vault.look()
        await catalogued(bus, tmp_path / "cloud", repository)
        before, targets = blobs(repository), repository.targets()
        shutil.rmtree(repository.store.folder)
        await vault.look()
        assert (blobs(repository), repository.targets()) == (before, targets)
        assert repository.publish(tmp_path / "built", publisher="acme").new is False


async def test_metadata_of_another_root_is_not_restored(own_jetstream, repository, tmp_path):
    (tmp_path / "other").mkdir()
    other = a_repository(tmp_path / "other")
    async with connecting(own_jetstream.url, name="test") as bus:
        await catalogued(bus, tmp_path / "cloud", repository)
        root = other.store.first_root()
        shutil.rmtree(other.store.folder)
        with pytest.raises(UntrustedError, match="signature"):
            await (await a_vault(bus, other, root)).look()
        assert not (other.store.folder / METADATA).exists()


async def test_tampered_metadata_is_not_restored(own_jetstream, repository, tmp_path):
    async with connecting(own_jetstream.url, name="test") as bus:
        vault = await a_vault(bus, repository)
        await catalogued(bus, tmp_path / "cloud", repository)
        catalog = await bus.buckets().bucket(CATALOG)
        timestamp = await catalog.get("timestamp.json")
        await catalog.put("timestamp.json", timestamp.value.replace(b'"sig": "', b'"sig": "AA', 1))
        shutil.rmtree(repository.store.folder)
        with pytest.raises(UntrustedError):
            await vault.look()
        assert not repository.store.exists


@pytest.mark.parametrize("size", [LARGE, LARGE + 1])
async def test_a_tampered_object_is_refused_and_replaced_once_the_right_one_is_here(
    own_jetstream, repository, size
):
    async with connecting(own_jetstream.url, name="test") as bus:
        audit = Remembered()
        vault = await a_vault(bus, repository, audit=audit)
        await vault.look()
        path = max(
            (repository.store.folder / BLOBS).iterdir(), key=lambda file: file.stat().st_size
        )
        right = path.read_bytes()
        wrong = path.with_name("wrong")
        wrong.write_bytes(bytes(len(right) + size - LARGE))
        with wrong.open("rb") as file:
            await bus.objects(OBJECTS).put(path.name, file)
        wrong.unlink()
        path.unlink()
        await vault.look()
        assert not path.exists()
        assert not (path.parent / "arriving" / path.name).exists()
        assert audit.entries[-1][0] == "trust-refused"
        path.write_bytes(right)
        await vault.look()
        path.unlink()
        await vault.look()
        assert path.read_bytes() == right


async def test_a_bucket_without_room_for_one_file_keeps_all_others(
    own_jetstream, repository, tmp_path, caplog
):
    for name in ("a-small", "z-smaller"):  # on both sides of it, by name
        built = a_folder(tmp_path / name, name, bundle=name, data=lambda name: table(len(name)))
        repository.publish(built, publisher="acme")
    held = blobs(repository)
    large = max(held, key=lambda name: len(held[name]))
    async with connecting(own_jetstream.url, name="test") as bus:
        room = ObjectStoreConfig(max_bytes=LARGE // 2)
        client = await nats.connect(own_jetstream.url)
        await client.jetstream().create_object_store(OBJECTS, config=room)
        await client.close()
        vault = await a_vault(bus, repository)
        for _ in range(2):
            assert await vault.look() == {large}
        assert await bus.objects(OBJECTS).names() == set(held) - {large}
    said = [record.message for record in caplog.records if "second time" in record.message]
    assert said == [f"not kept a second time: {large}"]


async def test_a_file_that_has_changed_is_not_kept(own_jetstream, repository):
    path = max((repository.store.folder / BLOBS).iterdir(), key=lambda file: file.stat().st_size)
    path.write_bytes(bytes(LARGE))
    async with connecting(own_jetstream.url, name="test") as bus:
        await (await a_vault(bus, repository)).look()
        assert path.name not in await bus.objects(OBJECTS).names()
