"""Old metadata, frozen metadata, metadata that does not belong together; and what clocks do."""

from datetime import timedelta

import pytest

from cloud_core.registry.draft import Lifetimes
from tests.attacks.bundles.forging import believed, refusals, snapshot_of, stolen, written
from tests.signed import DAY, EPOCH

LOWER = {"timestamp": (), "snapshot": ("timestamp",), "targets": ("snapshot", "timestamp")}


async def current(scene, name="node", **changes):
    """A node that has what there is."""
    node = scene.node(name, **changes)
    await node.update()
    assert node.store().held
    return node


async def test_an_old_timestamp_is_refused(scene):
    old = snapshot_of(scene.repository)
    scene.publish(2)
    node = await current(scene)
    scene.mirror.files = old
    await node.update()
    assert "timestamp 3, it was 4 before" in refusals(node)
    assert node.store().held["mlp-table"].bundle.target.version == 2


async def test_another_timestamp_of_the_same_version_is_refused(scene):
    node = await current(scene)
    draft = stolen(scene.repository)
    draft.timestamp.version -= 1
    scene.mirror.files = written(scene.repository, draft, EPOCH + 5)
    await node.update()
    assert "timestamp 3 is not the one that it was before" in refusals(node)


async def test_an_old_snapshot_under_a_stolen_timestamp_key_is_refused(scene):
    before = scene.repository.believed()
    scene.publish(2)
    node = await current(scene)
    draft = stolen(scene.repository)
    draft.timestamp.snapshot_meta = before.timestamp.snapshot_meta
    scene.mirror.files = written(scene.repository, draft, EPOCH)
    await node.update()
    assert "snapshot 3, it was 4 before" in refusals(node)


@pytest.mark.parametrize("role", ["targets", "acme"])
async def test_old_roles_under_stolen_snapshot_and_timestamp_keys_are_refused(scene, role):
    before = scene.repository.believed().meta(role)
    scene.publish(2)
    scene.repository.add_publisher("other", scene.repository.believed().rights("acme"))
    node = await current(scene)
    draft = stolen(scene.repository)
    draft.snapshot.meta[f"{role}.json"] = before
    draft.edit("snapshot")
    scene.mirror.files = written(scene.repository, draft, EPOCH)
    await node.update()
    assert f"{role} {before.version}, it was" in refusals(node)


async def test_a_role_that_vanishes_from_the_snapshot_is_refused(scene):
    node = await current(scene)
    draft = stolen(scene.repository)
    del draft.snapshot.meta["acme.json"]
    draft.edit("snapshot")
    scene.mirror.files = written(scene.repository, draft, EPOCH)
    await node.update()
    assert "acme 0, it was" in refusals(node)
    assert node.store().held


async def test_wiped_metadata_with_the_floors_kept_refuses_an_older_repository(scene):
    old = snapshot_of(scene.repository)
    scene.repository.rotate("root")
    scene.publish(2)
    node = await current(scene)
    (scene.folder / "node" / "trust" / "metadata.json").unlink()
    again = scene.node()
    scene.mirror.files = old
    scene.mirror.missing = {"2.root.json"}
    await again.update()
    assert "root 1, it was 2 before" in refusals(again)
    scene.mirror.missing = set()
    await again.update()
    assert "timestamp 3, it was" in refusals(again)
    assert not believed(again)
    assert node is not again


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
async def test_frozen_metadata_stops_installing_and_not_serving(scene, role):
    """Whichever role a mirror holds back, its signature runs out."""
    lives = {name: timedelta(days=999) for name in ("root", "timestamp", "snapshot", "targets")}
    short = Lifetimes(**{**lives, role: timedelta(days=2)}, publisher=timedelta(days=999))
    draft = stolen(scene.repository)
    draft.edit("root", "targets", "snapshot", "acme")
    scene.mirror.files = written(scene.repository, draft, EPOCH, short)
    node = await current(scene)
    late = scene.node(wall=EPOCH + 3 * DAY)
    assert not (await late.update()).changed
    assert f"{role} metadata expired" in refusals(late)
    assert late.store().held.keys() == node.store().held.keys() != set()
    new = scene.node("new", wall=EPOCH + 3 * DAY)
    await new.update()
    assert not new.store().held


async def test_a_publisher_whose_signature_ran_out_is_served_and_not_installed(scene):
    node = await current(scene)
    short = Lifetimes(publisher=timedelta(days=1))
    draft = stolen(scene.repository)
    draft.edit("acme")
    with scene.repository.store.writing():
        scene.repository.store.put(written(scene.repository, draft, EPOCH, short))
    late = scene.node(wall=EPOCH + 2 * DAY)
    assert not (await late.update()).changed
    assert late.store().held.keys() == node.store().held.keys()
    fresh = scene.node("fresh", wall=EPOCH + 2 * DAY)
    assert not (await fresh.update()).changed
    assert not fresh.store().held


async def test_roles_of_two_moments_are_not_mixed(scene):
    old = snapshot_of(scene.repository)
    scene.publish(2)
    newest = scene.repository.believed().meta("acme").version
    scene.mirror.files[f"{newest}.acme.json"] = old[f"{newest - 1}.acme.json"]
    node = scene.node()
    await node.update()
    assert "acme is not the one that belongs here" in refusals(node)
    assert not node.store().held


@pytest.mark.parametrize("role", ["snapshot", "targets"])
async def test_other_bytes_in_a_roles_place_are_refused(scene, role):
    old = snapshot_of(scene.repository)
    scene.repository.add_publisher("other", scene.repository.believed().rights("acme"))
    trusted = scene.repository.believed()
    version = trusted.snapshot.version if role == "snapshot" else trusted.meta(role).version
    scene.mirror.files[f"{version}.{role}.json"] = old[f"{version - 1}.{role}.json"]
    node = scene.node()
    await node.update()
    assert f"{role} is not the one that belongs here" in refusals(node)


@pytest.mark.parametrize("role", ["snapshot", "targets", "acme"])
async def test_a_role_under_another_version_than_its_name_is_refused(scene, role):
    draft = stolen(scene.repository)
    draft.edit("snapshot", "targets", "acme")
    version = {"snapshot": draft.snapshot, "targets": draft.targets}.get(
        role, draft.publishers["acme"]
    ).version  # fmt: skip
    files = written(scene.repository, draft, EPOCH)
    named = (
        draft.timestamp.snapshot_meta if role == "snapshot" else draft.snapshot.meta[f"{role}.json"]
    )
    named.version += 7
    more = stolen(scene.repository)
    more.snapshot, more.timestamp = draft.snapshot, draft.timestamp
    if role != "snapshot":
        more.edit("snapshot")
    scene.mirror.files = files | written(scene.repository, more, EPOCH)
    scene.mirror.files[f"{version + 8}.{role}.json"] = files[f"{version + 1}.{role}.json"]
    node = scene.node()
    await node.update()
    assert f"{role} {version + 1} in place of {version + 8}" in refusals(node)


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
async def test_a_fast_forward_is_recovered_from_by_a_new_key(scene, role):
    """A thief of a key can push its version out of reach; new keys begin anew."""
    node = await current(scene)
    draft = stolen(scene.repository)
    (draft.timestamp if role == "timestamp" else draft.snapshot).version = 2**30
    draft.edit(role)
    scene.mirror.files = written(scene.repository, draft, EPOCH)
    await node.update()
    assert believed(node)[role] > 2**30
    scene.mirror.files = {}
    scene.publish(2)
    scene.publish(3)
    await node.update()
    assert f"it was {2**30 + 1} before" in refusals(node)
    scene.repository.rotate("timestamp")
    scene.repository.rotate("snapshot")
    assert (await node.update()).changed
    assert node.store().held["mlp-table"].bundle.target.version == 3


async def test_a_clock_30_days_back_does_not_bring_back_expired_metadata(scene):
    scene.time.now = EPOCH + 30 * DAY
    scene.publish(2)
    scene.repository.renew()
    node = await current(scene, wall=EPOCH + 30 * DAY)
    assert node.trusted.floors.time == EPOCH + 30 * DAY
    draft = stolen(scene.repository)
    draft.edit("snapshot")
    expired = Lifetimes(snapshot=timedelta(days=9))
    scene.mirror.files = written(scene.repository, draft, EPOCH + 20 * DAY, expired)
    lost = scene.node(wall=EPOCH)
    await lost.update()
    assert "metadata expired" in refusals(lost)


async def test_a_board_without_a_clock_judges_by_its_time_floor(scene):
    scene.time.now = EPOCH + 20 * DAY
    scene.publish(2)
    await current(scene, wall=0.0)
    old = Lifetimes(snapshot=timedelta(days=1))
    draft = stolen(scene.repository)
    draft.edit("snapshot")
    scene.mirror.files = written(scene.repository, draft, EPOCH + 10 * DAY, old)
    lost = scene.node(wall=0.0)
    await lost.update()
    assert "metadata expired" in refusals(lost)


async def test_a_clock_two_days_ahead_does_not_poison_the_floor(scene):
    short = Lifetimes(timestamp=timedelta(days=1))
    draft = stolen(scene.repository)
    with scene.repository.store.writing():
        scene.repository.store.put(written(scene.repository, draft, EPOCH, short))
    ahead = scene.node(wall=EPOCH + 2 * DAY)
    assert not (await ahead.update()).changed
    assert "timestamp metadata expired" in refusals(ahead)
    assert (await scene.node(wall=EPOCH).update()).changed


async def test_a_time_far_ahead_under_a_stolen_key_moves_nothing(scene):
    """Everything else has expired by then, so nothing of it is believed."""
    node = await current(scene)
    draft = stolen(scene.repository)
    far = Lifetimes(timestamp=timedelta(days=9999))
    scene.mirror.files = written(scene.repository, draft, EPOCH + 9000 * DAY, far)
    await node.update()
    assert "snapshot metadata expired" in refusals(node)
    scene.mirror.files = {}
    scene.publish(2)
    assert (await scene.node().update()).changed
