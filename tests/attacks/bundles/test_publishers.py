"""What a publisher may not do, and what is done with one who may no more."""

from dataclasses import replace
from hashlib import sha256

import pytest

from edge_agent.bundles import unpack
from edge_agent.bundles.believed import Rights, TargetPath
from edge_agent.bundles.trust import TrustedSet, accepted
from protocol.bundles import MANIFEST, RuntimePin, digest_key
from protocol.errors import ForbiddenError, UntrustedError
from tests.attacks.bundles.forging import refusals, stolen, written
from tests.build import a_task
from tests.signed import EPOCH, a_folder, an_updater

FOREIGN = TargetPath(publisher="other", bundle="digits", version=3)


def signed_for(scene, path, head, publisher="acme"):
    """A publisher signs for some path and these bytes, with keys that are its own."""
    draft = stolen(scene.repository)
    scene.mirror.files[digest := digest_key(sha256(head).hexdigest())] = head
    draft.publishers[publisher].targets.clear()
    known = path.publisher
    draft.publishers.setdefault(known, draft.publishers[publisher])
    draft.publish(path, digest=digest, size_bytes=len(head), channel="current")
    draft.edit(publisher)
    draft._edited -= {known} - {publisher}  # noqa: SLF001  # the other signs nothing
    scene.mirror.files |= written(scene.repository, draft, EPOCH)


def head_of(scene, **changes):
    """The head of the bundle that is published, its manifest changed."""
    (target,) = scene.repository.targets()
    files = unpack.head(scene.repository.store.blob(target.digest))
    manifest = scene.repository.manifest(target).model_copy(update=changes)
    return unpack.packed({**files, MANIFEST: manifest.model_dump_json().encode()})


async def test_a_publisher_may_not_publish_below_anothers_name(scene):
    signed_for(scene, FOREIGN, head_of(scene, publisher="other", version=3))
    node = scene.node()
    await node.update()
    assert "acme may not publish 'other/digits/3.tar'" in refusals(node)
    assert not node.store().held


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"publisher": "rival"}, "holds rival/digits, version 1"),
        ({"bundle": "faces"}, "holds acme/faces, version 1"),
        ({"version": 2}, "holds acme/digits, version 2"),
    ],
    ids=["another tenant's", "another bundle", "another version"],
)
async def test_a_bundle_in_anothers_place_is_refused(scene, changes, says):
    """A tenant's bundle, replayed as another's; a target's bytes in the place of another's."""
    path = TargetPath(publisher="acme", bundle="digits", version=1)
    signed_for(scene, path, head_of(scene, **changes))
    node = scene.node()
    await node.update()
    assert says in refusals(node)
    assert not node.store().held


async def test_a_targets_bytes_in_anothers_place_are_refused(scene):
    scene.publish(bundle="faces", names=("faces-table",))
    at = {target.bundle: target.digest for target in scene.repository.targets()}
    faces, digits = at["faces"], at["digits"]
    scene.mirror.files[digits] = scene.repository.store.blob(faces)
    node = scene.node()
    await node.update()
    assert f"what came for {digits} is something else" in refusals(node)
    assert {held.bundle.target.bundle for held in node.store().held.values()} == {"faces"}


async def test_a_task_beyond_its_rights_is_refused(scene):
    scene.repository.add_publisher("acme", Rights(tasks=("faces-*",)))
    node = scene.node()
    await node.update()
    assert "acme may not publish for digits" in refusals(node)
    assert not node.store().held


def a_pt2(folder):
    """A variant in a format that is code; its bytes do not matter here."""
    return a_folder(folder, format="pt2", runtimes=(RuntimePin(name="torch", version="2.13.0"),))


async def test_code_of_a_publisher_without_the_right_is_refused(scene):
    (target,) = scene.repository.targets()
    (variant,) = scene.repository.manifest(target).variants
    code = variant.model_copy(update={"format": "pt2"})
    path = TargetPath(publisher="acme", bundle="digits", version=1)
    signed_for(scene, path, head_of(scene, variants=(code,)))
    node = scene.node()
    await node.update()
    assert "acme may not publish code" in refusals(node)
    assert not node.store().held


def test_publishing_code_without_the_right_says_how_to_get_it(scene, monkeypatch):
    monkeypatch.setattr("edge_agent.bundles.pt2.screen", lambda _: None)
    folder = a_pt2(scene.folder / "code")
    with pytest.raises(ForbiddenError, match="may not publish code"):
        scene.repository.publish(folder, publisher="acme")


async def test_what_a_revoked_publisher_published_is_switched_out(scene):
    node = scene.node()
    await node.update()
    assert node.store().held
    scene.repository.revoke_publisher("acme")
    assert (await node.update()).changed
    assert not node.store().held
    assert not scene.node().store().held


async def test_a_revoked_publishers_old_metadata_is_believed_by_nobody(scene):
    scene.repository.revoke_publisher("acme")
    node = scene.node()
    await node.update()
    assert not node.store().held


def test_nobody_signs_for_a_target_that_was_made_up(scene):
    trusted: TrustedSet = scene.repository.believed()
    (target,) = trusted.catalog().values()
    head = scene.repository.store.blob(target.digest)
    manifest = unpack.head(head)[MANIFEST]
    with pytest.raises(UntrustedError, match="nobody signs for"):
        trusted.manifest(replace(target, version=9, path="acme/digits/9.tar"), head, manifest)
    with pytest.raises(UntrustedError, match="not what its publisher signed for"):
        trusted.manifest(target, head + b"\0", manifest)
    assert accepted(target, manifest) == trusted.manifest(target, head, manifest)


async def test_what_is_switched_in_without_a_signature_is_not_served(scene):
    """Somebody with the disk in hand points the switch at another head, which is there."""
    node = scene.node()
    await node.update()
    (switch,) = (scene.folder / "node" / "installed").glob("*.json")
    head = head_of(scene, version=1, task=a_task(description="another"))
    digest = digest_key(sha256(head).hexdigest())
    (scene.folder / "node" / "blobs" / digest).write_bytes(head)
    known = scene.repository.targets()[0].digest
    switch.write_text(switch.read_text().replace(known, digest))
    again = an_updater(scene.folder / "node", scene.repository)
    assert not again.store().held
    assert "nobody signs for acme/digits/1.tar" in refusals(again)
