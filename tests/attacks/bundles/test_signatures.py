"""Metadata that was not signed by those whom it concerns, or not by enough of them."""

import pytest
from securesystemslib.signer import SSlibKey

from cloud_core.registry.draft import sealed
from edge_agent.bundles.believed import TargetPath
from tests.attacks.bundles.forging import (
    STRANGER,
    Hostile,
    believed,
    refusals,
    resigned,
    snapshot_of,
    stolen,
    written,
)
from tests.signed import EPOCH, a_folder, a_repository, an_updater

ROLES = ("root", "timestamp", "snapshot", "targets", "acme")


async def test_an_honest_mirror_is_believed(scene):
    node = scene.node()
    assert (await node.update()).changed
    assert set(node.store().held) == {"mlp-table"}


@pytest.mark.parametrize("role", ROLES)
async def test_metadata_signed_by_a_stranger_is_refused(scene, role):
    draft = stolen(scene.repository, role)
    draft.edit(role)
    scene.mirror.files = written(scene.repository, draft, EPOCH)
    node = scene.node()
    assert not (await node.update()).changed
    assert f"{role}: 0 of 1 signatures" in refusals(node)
    assert believed(node) == {}
    assert not node.store().held


async def test_an_arbitrary_bundle_of_a_mirror_is_not_installed(scene):
    draft = stolen(scene.repository, "acme", "snapshot", "timestamp")
    path = TargetPath(publisher="acme", bundle="digits", version=9)
    draft.publish(path, digest="sha256-" + "0" * 64, size_bytes=10, channel="current")
    scene.mirror.files = written(scene.repository, draft, EPOCH)
    node = scene.node()
    await node.update()
    assert "timestamp: 0 of 1" in refusals(node)
    assert not node.store().held


@pytest.mark.parametrize("role", ROLES[1:])
async def test_a_tampered_byte_is_refused(scene, role):
    name = next(n for n in sorted(snapshot_of(scene.repository), reverse=True) if role in n)
    data = bytearray((scene.repository.store.folder / "metadata" / name).read_bytes())
    data[40] ^= 1
    scene.mirror.files[name] = bytes(data)
    node = scene.node()
    await node.update()
    assert refusals(node)
    assert not node.store().held


@pytest.mark.parametrize("role", ["timestamp"])
async def test_stripped_signatures_are_refused(scene, role):
    data = (scene.repository.store.folder / "metadata" / f"{role}.json").read_bytes()
    scene.mirror.files[f"{role}.json"] = resigned(data, lambda _: [])
    node = scene.node()
    await node.update()
    assert "0 of 1 signatures" in refusals(node)
    assert not node.store().held


@pytest.fixture
def careful(tmp_path):
    """A mesh whose root takes two of three signatures; a node that believes its first root."""
    repository = a_repository(tmp_path, roots=3, threshold=2, encrypt_roots=True)
    repository.publish(a_folder(tmp_path / "built"), publisher="acme")
    mirror = Hostile(repository.store.folder)
    return repository, mirror, an_updater(tmp_path / "node", repository, sources=(mirror,))


def next_root(repository):
    draft = stolen(repository)
    draft.edit("root")
    files = written(repository, draft, EPOCH)
    return "2.root.json", files["2.root.json"], draft


async def test_enough_of_the_root_keys_are_believed(careful):
    repository, mirror, node = careful
    name, data, _ = next_root(repository)
    mirror.files[name] = data
    assert (await node.update()).changed
    assert believed(node)["root"] == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda signatures: signatures[:1],
        lambda signatures: [signatures[0], signatures[0]],
        lambda signatures: [signatures[0], {**signatures[0], "keyid": signatures[1]["keyid"]}],
    ],
    ids=["one of two", "one twice", "one under two names"],
)
async def test_fewer_than_the_threshold_are_refused(careful, change):
    repository, mirror, node = careful
    name, data, _ = next_root(repository)
    mirror.files[name] = resigned(data, change)
    await node.update()
    assert refusals(node)
    assert not node.store().held


async def test_a_key_that_goes_by_two_names_counts_once(careful):
    repository, mirror, node = careful
    role = repository.believed().root.roles["root"]
    signers = repository._keys.signers("root", role.keyids, 2)  # noqa: SLF001  # stolen

    def twice(root):
        for key_id in list(root.roles["root"].keyids):
            root.revoke_key(key_id, "root")
        key = signers[0].public_key
        for name in ("a" * 64, "b" * 64):
            alias = SSlibKey(name, key.keytype, key.scheme, key.keyval)
            root.add_key(alias, "root")

    draft = stolen(repository)
    twice(draft.root)
    draft.root.version = 2
    envelope = sealed(draft.root, signers)
    alias = lambda found: [*found, *({**found[0], "keyid": n * 64} for n in "ab")]  # noqa: E731  # short
    mirror.files["2.root.json"] = resigned(envelope, alias)
    await node.update()
    assert "signatures" in refusals(node)
    assert believed(node) == {}


async def test_a_new_root_without_the_old_ones_keys_is_refused(scene):
    draft = stolen(scene.repository)
    draft.root.version = 2
    for key_id in list(draft.root.roles["root"].keyids):
        draft.root.revoke_key(key_id, "root")
    draft.root.add_key(STRANGER.public_key, "root")
    scene.mirror.files["2.root.json"] = sealed(draft.root, [STRANGER])
    node = scene.node()
    await node.update()
    assert "root: 0 of 1 signatures" in refusals(node)
    assert not node.store().held


async def test_a_new_root_without_its_own_keys_is_refused(scene):
    draft = stolen(scene.repository)
    old = scene.repository.believed().root.roles["root"].keyids
    signers = scene.repository._keys.signers("root", old, 1)  # noqa: SLF001  # stolen
    draft.root.version = 2
    for key_id in list(old):
        draft.root.revoke_key(key_id, "root")
    draft.root.add_key(STRANGER.public_key, "root")
    scene.mirror.files["2.root.json"] = sealed(draft.root, signers)
    node = scene.node()
    await node.update()
    assert "root: 0 of 1 signatures" in refusals(node)


async def test_a_root_that_skips_a_version_is_refused(scene):
    draft = stolen(scene.repository)
    draft.edit("root")
    draft.root.version = 5
    (data,) = [d for n, d in written(scene.repository, draft, EPOCH).items() if "root" in n]
    scene.mirror.files["2.root.json"] = data
    node = scene.node()
    await node.update()
    assert "root 6 after root 1" in refusals(node)
    assert believed(node) == {}
