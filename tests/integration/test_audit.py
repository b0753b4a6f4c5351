"""What devices and gates refuse to trust is in the cloud's audit log: once, also after a cut."""

import json
import os
import signal
import sqlite3

import pytest

from middle_tier.client import Mesh
from protocol.errors import UnauthenticatedError
from tests.integration.conftest import eventually, tiermesh, up

pytestmark = pytest.mark.mesh


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A mesh of these tests' own: they spoil what a node has on its disk."""
    with up(tmp_path_factory.mktemp("own") / "mesh", edges=2) as mesh:
        yield mesh


def told(mesh, kind, **said):
    """What `tiermesh audit show` has of this kind, with these fields."""
    shown = tiermesh("audit", "show", "--kind", kind, "--dir", mesh.dir, "--json")
    assert shown.returncode == 0, shown.stderr
    entries = [entry["fields"] for entry in json.loads(shown.stdout)["entries"]]
    return [fields for fields in entries if said.items() <= fields.items()]


def tampered(mesh, node):
    """Change a byte of everything that a node has installed, and have it start anew."""
    before = mesh.process(node)["pid"]
    os.kill(before, signal.SIGSTOP)
    blobs = sorted((mesh.dir / "nodes" / node / "bundles" / "blobs").glob("sha256-*"))
    assert blobs
    for path in blobs:
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
    os.kill(before, signal.SIGKILL)
    eventually(lambda: mesh.process(node)["pid"] not in {None, before}, "it is started again")


def waiting(mesh, node):
    """How many refusals a node has yet to tell."""
    path = mesh.dir / "nodes" / node / "refused.db"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as database:
        return database.execute("select count(*) from outbox").fetchone()[0]


def holds(mesh):
    return tiermesh("audit", "verify", "--dir", mesh.dir).returncode == 0


def test_a_bundle_that_was_tampered_with_on_a_device_is_seen_at_the_cloud(own):
    tampered(own, "edge-1")
    where = {"site": "site-1", "node": "edge-1", "reason": "untrusted"}
    found = eventually(lambda: told(own, "trust-refused", **where), "it is in the audit log")
    assert any("demo/" in one["what"] for one in found)
    assert "edge-1" in tiermesh("audit", "show", "--dir", own.dir).stdout
    assert holds(own)


def test_what_is_refused_while_the_uplink_is_cut_is_seen_after_it_once(own):
    where = {"site": "site-1", "node": "edge-2"}
    own.reshape("middle-cloud", cut=True)
    try:
        tampered(own, "edge-2")
        eventually(lambda: waiting(own, "edge-2"), "it waits on the device")
        assert not told(own, "trust-refused", **where)
    finally:
        own.reshape("middle-cloud", cut=False)
    eventually(lambda: told(own, "trust-refused", **where), "it is in the audit log")
    eventually(lambda: not waiting(own, "edge-2"), "the device knows that it is")
    found = told(own, "trust-refused", **where)
    assert len({(one["journal"], one["number"]) for one in found}) == len(found)
    assert len({(one["what"], one["error"]) for one in found}) == len(found)
    assert holds(own)


def test_tokens_that_a_site_s_gate_does_not_believe_are_seen_as_a_number(own):
    for _ in range(20):
        with (
            pytest.raises(UnauthenticatedError),
            Mesh(own.gate("site-1"), "no token of this mesh") as stranger,
        ):
            stranger.tasks()
    where = {"site": "site-1", "what": "tokens", "error": "the token is not a JWT"}
    found = eventually(lambda: told(own, "token-refused", **where), "it is in the audit log")
    assert len(found) <= 2
    assert "no token of this mesh" not in json.dumps(found)


def test_tokens_that_the_cloud_s_gate_does_not_believe_are_seen_too(own):
    with (
        pytest.raises(UnauthenticatedError),
        Mesh(own.gate("cloud"), "no token of this mesh") as stranger,
    ):
        stranger.tasks()
    eventually(
        lambda: [one for one in told(own, "token-refused") if "site" not in one],
        "it is in the audit log",
    )
    assert holds(own)
