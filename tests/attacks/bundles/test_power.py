"""Power that fails at any step of an installation: what starts next is whole, and goes on."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.bundles.power import LossyDisk, PowerCut, node

ROOT = Path(__file__).parents[3]
MOST = 200


def version(updater) -> int:
    """Of what is served, whose bytes are verified by reading them."""
    held = updater.store().held["mlp-table"]
    held.read()
    held.goldens()
    return held.bundle.target.version


async def prepared(scene) -> tuple[Path, Path, int]:
    """A node that has version 1, where version 2 is to be had; and the steps that this takes."""
    repository, nodes = scene.repository.store.folder, scene.folder / "nodes"
    await node(nodes / "before", repository).update()
    scene.publish(2)
    shutil.copytree(nodes / "before", nodes / "whole")
    disk = LossyDisk(MOST)
    await node(nodes / "whole", repository, disk).update()
    assert 20 < disk.steps < MOST
    return repository, nodes, disk.steps


async def test_killed_before_any_step_it_serves_and_goes_on(scene):
    repository, nodes, steps = await prepared(scene)
    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.attacks.bundles.power", repository, nodes, str(steps + 1)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ends = [line.split() for line in run.stdout.splitlines()]
    assert ends == [*([str(step), "9"] for step in range(steps)), [str(steps), "0"]]
    served = []
    for step in range(steps + 1):
        again = node(nodes / str(step), repository)
        served.append(version(again))
        await again.update()
        assert version(node(nodes / str(step), repository)) == 2
    assert served == sorted(served)
    assert {1, 2} == set(served)


async def test_what_was_not_synced_may_be_lost_at_any_step(scene):
    repository, nodes, steps = await prepared(scene)
    served = set()
    for step in range(steps):
        folder = nodes / f"lossy-{step}"
        shutil.copytree(nodes / "before", folder)
        with pytest.raises(PowerCut):
            await node(folder, repository, LossyDisk(step)).update()
        again = node(folder, repository)
        served.add(version(again))
        await again.update()
        assert version(node(folder, repository)) == 2
    assert served == {1}, "the last step is what makes the switch durable"


async def test_a_first_installation_that_is_cut_begins_again(scene):
    repository = scene.repository.store.folder
    for step in range(0, MOST, 3):
        folder = scene.folder / f"first-{step}"
        disk = LossyDisk(step)
        try:
            await node(folder, repository, disk).update()
        except PowerCut:
            again = node(folder, repository)
            assert set(again.store().held) <= {"mlp-table"}
            await again.update()
        assert version(node(folder, repository)) == 1
        if disk.steps <= step:
            return
    pytest.fail("it never came to an end")
