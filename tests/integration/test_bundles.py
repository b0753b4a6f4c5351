"""Bundles in a running mesh: published by command, installed from site to node, revoked again."""

import json

import numpy as np
import pytest

from tests.integration.conftest import Running, eventually, tiermesh
from tests.signed import a_folder

pytestmark = pytest.mark.mesh


@pytest.fixture
def own(tmp_path):
    """A mesh of this test's own: gates go on naming a task that has come and gone."""
    folder = tmp_path / "mesh"
    run = tiermesh("up", "--dir", folder, "--port", 0, "--edges", 1, "--detach", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    try:
        yield Running(json.loads(run.stdout))
    finally:
        tiermesh("down", "--dir", folder)


def variants(mesh, site="site-1"):
    """Node -> the variants that it can run, of one site."""
    nodes = (node for node in mesh.nodes() if node["advert"]["site"] == site)
    return {node["advert"]["node"]: set(node["variants"]) for node in nodes}


def test_a_bundle_is_published_installed_everywhere_and_revoked(own, tmp_path):
    command = ("--dir", own.dir, "--json")
    cloud = own.mesh("cloud")
    added = tiermesh("bundles", "publisher", "visitor", "--task", "replayed", *command)
    assert added.returncode == 0, added.stderr
    refused = a_folder(tmp_path / "digits", "stranger-table", bundle="digits-too")
    publish = ("bundles", "publish", "--publisher", "visitor", *command)
    assert "may not publish for digits" in tiermesh(*publish, refused).stderr
    built = a_folder(tmp_path / "built", "replayed-table", bundle="replayed", task="replayed")
    published = tiermesh(*publish, built)
    assert json.loads(published.stdout)["published"][0]["channel"] == "current"

    def everywhere():
        found = variants(cloud)
        return found if all("replayed-table" in held for held in found.values()) else None

    assert len(eventually(everywhere, "the bundle is on every node")) == 2
    image = np.zeros((1, 8, 8), np.float32)
    with own.mesh("site-1") as site:
        assert site.ask("replayed", {"image": image}, latency_ms=2000).outputs["scores"].shape == (
            1,
            10,
        )
    assert tiermesh("bundles", "verify", *command).returncode == 0
    revoked = tiermesh("bundles", "publisher", "visitor", "--revoke", *command)
    assert "visitor" not in json.loads(revoked.stdout)["publishers"]
    eventually(
        lambda: not any("replayed-table" in held for held in variants(cloud).values()),
        "nobody holds what a revoked publisher has signed",
    )
    cloud.close()
    kinds = tiermesh("audit", "show", *command).stdout
    assert all(
        kind in kinds for kind in ("publisher-added", "bundle-published", "publisher-revoked")
    )


def test_nodes_hold_what_they_can_run_and_what_is_signed(running):
    for node in ("edge-1", "edge-2", "middle-1", "cloud-1"):
        kept = running.dir / "nodes" / node / "bundles"
        assert (kept / "trust" / "floors.json").exists()
        installed = {path.name for path in (kept / "installed").iterdir()}
        assert {"demo.digits-cnn-small.json", "demo.digits-mlp-tiny.json"} <= installed
