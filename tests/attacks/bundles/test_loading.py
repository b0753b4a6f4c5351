"""Between being verified and being run: bytes that change, runtimes and machines that differ."""

import pytest

from edge_agent.bundles.store import goldens
from edge_agent.bundles.trial import able, trying
from protocol.bundles import RuntimePin
from protocol.errors import UntrustedError
from tests.attacks.bundles.forging import refusals
from tests.signed import an_updater, table

TABLE = {"table": RuntimePin(name="table", version="1")}


async def installed(scene, **changes):
    node = scene.node(**changes)
    await node.update()
    return node


async def test_bytes_swapped_between_verifying_and_loading_are_not_loaded(scene):
    held = (await installed(scene)).store().held["mlp-table"]
    assert held.read() == held.path.read_bytes()
    held.path.write_bytes(bytes(held.variant.size_bytes))
    with pytest.raises(UntrustedError, match="not what its manifest's digest says"):
        held.read()


async def test_bytes_that_grew_are_not_loaded(scene):
    held = (await installed(scene)).store().held["mlp-table"]
    held.path.write_bytes(held.read() + b" ")
    with pytest.raises(UntrustedError, match="its manifest says"):
        held.read()


async def test_a_file_swapped_for_a_link_gives_the_verified_bytes_or_none(scene, tmp_path):
    held = (await installed(scene)).store().held["mlp-table"]
    (other := tmp_path / "other").write_bytes(b"something else")
    held.path.unlink()
    held.path.symlink_to(other)
    with pytest.raises(UntrustedError):
        held.read()


async def test_golden_frames_are_those_that_were_verified(scene):
    """They are kept as they were signed for, and not read again from the disk."""
    node = await installed(scene)
    held = node.store().held["mlp-table"]
    (node.depot.path(held.bundle.target.digest)).write_bytes(b"x" * held.bundle.target.size_bytes)
    inputs, _ = held.goldens()
    assert inputs["image"].shape == (1, 8, 8)
    with pytest.raises(UntrustedError, match="no frame"):
        goldens(b"x", b"x", "mlp-table")


async def test_a_head_that_changed_on_the_disk_is_not_served(scene):
    node = await installed(scene)
    (target,) = scene.repository.targets()
    node.depot.path(target.digest).write_bytes(b"x" * target.size_bytes)
    again = an_updater(scene.folder / "node", scene.repository)
    assert not again.store().held
    assert "has changed on the disk" in refusals(again)


async def test_of_a_spoiled_version_the_one_before_it_is_served(scene):
    node = await installed(scene)
    scene.publish(2)
    await node.update()
    newest = node.store().held["mlp-table"].bundle.target
    assert newest.version == 2
    node.depot.path(newest.digest).unlink()
    again = an_updater(scene.folder / "node", scene.repository)
    assert again.store().held["mlp-table"].bundle.target.version == 1


@pytest.mark.parametrize(
    ("pins", "hardware", "changes"),
    [
        ({}, "pi-4", {}),
        ({"table": RuntimePin(name="table", version="2")}, "pi-4", {}),
        (TABLE, "pi-4", {"hardware": ("orin-*",)}),
    ],
    ids=["no runtime", "a version that is not listed", "made for other hardware"],
)
async def test_what_cannot_run_here_is_not_even_fetched(scene, pins, hardware, changes):
    scene.publish(2, **changes)
    node = await installed(scene, wants=able(pins, hardware))
    assert not node.store().held
    listed = an_updater(scene.folder / "able", scene.repository, wants=able(TABLE, "orin-8"))
    await listed.update()
    assert listed.store().held


async def test_what_is_held_and_not_listed_has_its_reason(scene):
    store = (await installed(scene)).store()
    other = {"table": RuntimePin(name="table", version="2")}
    assert store.unable(other, "box") == {"mlp-table": "unlisted runtime table 2"}


@pytest.mark.parametrize("data", [b"{", table()[:-1]], ids=["malformed", "cut"])
async def test_a_version_that_does_not_work_here_is_tried_once_and_never_switched_in(scene, data):
    can = able(TABLE, "box")
    node = await installed(scene, wants=can, trial=trying(can, 1))
    scene.publish(2, data=lambda _: data)
    assert not (await node.update()).changed
    assert node.store().held["mlp-table"].bundle.target.version == 1
    assert "mlp-table" in refusals(node)
    before = refusals(node)
    await node.update()
    again = scene.node(wants=can, trial=trying(can, 1))
    await again.update()
    assert refusals(node) == before
    assert not refusals(again)
    scene.publish(3)
    assert (await again.update()).changed


async def test_a_version_with_other_answers_than_its_golden_ones_is_never_switched_in(scene):
    can = able(TABLE, "box")
    node = await installed(scene, wants=can, trial=trying(can, 1))
    wrong = scene.folder / "wrong"
    scene.publish(2)
    folder = scene.folder / "built" / "digits-2"
    outputs = (folder / "golden-outputs.frame").read_bytes()
    (folder / "golden-outputs.frame").write_bytes(outputs[:-40] + b"\x7f" * 40)
    folder.rename(wrong)
    scene.repository.publish(wrong, publisher="acme", promote=True)
    await node.update()
    assert "golden output scores is off" in refusals(node)
    assert node.store().held["mlp-table"].bundle.target.version == 1
