"""Bundles in a running mesh: published by command, installed from site to node, revoked again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cloud_core.up.layout import Layout
from cloud_core.up.signed import repository
from edge_agent.bundles.believed import Rights
from tests.integration.conftest import eventually, tiermesh, up
from tests.signed import DAY, a_folder

pytestmark = pytest.mark.mesh
NODES = 3
"""An edge, the site's own, the cloud's own."""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A mesh of these tests' own: other tests need not know what is published here."""
    with up(tmp_path_factory.mktemp("own") / "mesh", edges=1) as mesh:
        yield mesh


def variants(mesh, site="site-1"):
    """Node -> the variants that it can run, of one site (None: of all); of nodes that are there."""
    here = (node for node in mesh.nodes() if site in (None, node["advert"]["site"]))
    nodes = (node for node in here if node["health"] != "gone")
    return {node["advert"]["node"]: set(node["variants"]) for node in nodes}


def everywhere(mesh, *, has, lacks=""):
    """Whether every node of the mesh holds the one variant and none the other."""
    with mesh.mesh() as cloud:
        found = variants(cloud, site=None).values()
    return len(found) == NODES and all(has in held and lacks not in held for held in found)


def named(mesh, gate, task):
    """Whether a gate lists the task."""
    with mesh.mesh(gate) as client:
        return any(one["name"] == task for one in client.tasks())


def floors(mesh):
    """What the trust of each node has got to: role -> version."""
    found = {}
    for path in (mesh.dir / "nodes").glob("*/bundles/trust/floors.json"):
        roles = json.loads(path.read_text())["roles"]
        found[path.parts[-4]] = {role: floor["version"] for role, floor in roles.items()}
    return found


def published(mesh, folder, variant, *options):
    """Publish a bundle whose only variant has this name."""
    built = a_folder(folder / variant, variant, bundle="turned", task="turned")
    done = tiermesh("bundles", "publish", "--dir", mesh.dir, *options, built)
    assert done.returncode == 0, done.stderr


def test_a_rollback_reaches_every_node_and_so_does_what_new_root_keys_sign(own, tmp_path):
    published(own, tmp_path, "first-table")
    eventually(lambda: everywhere(own, has="first-table"), "the first version everywhere")
    published(own, tmp_path, "second-table", "--promote")
    eventually(
        lambda: everywhere(own, has="second-table", lacks="first-table"), "the second everywhere"
    )
    rotated = tiermesh("keys", "rotate", "root", "--dir", own.dir, "--json")
    root = json.loads(rotated.stdout)["root"]
    assert root == 2
    back = tiermesh("bundles", "rollback", "turned", "--dir", own.dir)
    assert back.returncode == 0, back.stderr
    eventually(
        lambda: everywhere(own, has="first-table", lacks="second-table"), "the first once more"
    )
    assert {node: roles["root"] for node, roles in floors(own).items()} == dict.fromkeys(
        floors(own), root
    )


def test_the_cloud_renews_its_timestamp_and_every_node_follows(own):
    layout = Layout(own.dir)
    old = repository(layout, lambda: time.time() - 4 * DAY)
    old.add_publisher("late", Rights())  # signed four days ago, as far as the timestamp says
    before = old.believed().timestamp.version
    os.kill(own.process("cloud")["pid"], signal.SIGKILL)  # it looks when it starts, then hourly
    renewed = repository(layout, time.time)
    eventually(lambda: renewed.believed().timestamp.version > before, "the timestamp is renewed")
    assert renewed.left(renewed.believed())["timestamp"] > 0.9
    eventually(
        lambda: all(roles["timestamp"] > before for roles in floors(own).values()),
        "every node knows the renewed one",
    )


def test_bytes_that_the_repository_has_lost_come_back_from_the_hubs_streams(own, tmp_path):
    verify = ("bundles", "verify", "--dir", own.dir)
    assert tiermesh(*verify).returncode == 0
    blobs = own.dir / "repository" / "blobs"
    blobs.rename(tmp_path / "lost")
    eventually(lambda: tiermesh(*verify).returncode == 0, "all that is signed for is back")
    assert {path.read_bytes() for path in blobs.glob("sha256-*")} <= {
        path.read_bytes() for path in (tmp_path / "lost").glob("sha256-*")
    }


def test_an_enrolled_device_needs_one_command_to_hold_what_is_signed(own, tmp_path):
    made = tiermesh("enrol", "token", "--site", "site-1", "--approved", "--dir", own.dir)
    assert made.returncode == 0, made.stderr
    url = json.loads((own.dir / "config" / "edge-1.json").read_text())["nats_url"]
    agent = [Path(sys.executable).with_name("tiermesh-agent")]
    config = tmp_path / "agent.toml"
    joined = subprocess.run(
        [*agent, "enrol", "--token", "-", "--url", url, "--node", "cam-9",
         "--credentials", tmp_path / "node.creds", "--config", config],
        input=made.stdout, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert joined.returncode == 0, joined.stderr
    assert (tmp_path / "1.root.json").read_bytes() == Layout(own.dir).bundle_root.read_bytes()
    running = subprocess.Popen([*agent, "--config", config, "--log-level", "warning"], cwd=tmp_path)
    try:
        with own.mesh("site-1") as site:
            eventually(lambda: variants(site).get("cam-9"), "the device has something to run")
    finally:
        running.terminate()
        running.wait()


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

    eventually(lambda: everywhere(own, has="replayed-table"), "the bundle is on every node")
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
    eventually(
        lambda: all(not named(own, gate, "replayed") for gate in ("cloud", "site-1")),
        "no gate names its task any more",
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
