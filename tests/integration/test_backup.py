"""A mesh that has lost its machine: from its backup it still knows who may come in, and who not."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Running, eventually, tiermesh

pytestmark = pytest.mark.mesh
PASSPHRASE = "correct horse battery"


def up(folder: Path) -> Running:
    run = tiermesh("up", "--dir", folder, "--port", 0, "--edges", 2, "--detach", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    return Running(json.loads(run.stdout))


def told(folder: Path, *arguments: object):
    run = tiermesh(*arguments, "--dir", folder, "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def states(folder: Path) -> dict[str, str]:
    found = told(folder, "enrol", "list")["identities"]
    return {one["node"]: one["state"] for one in found}


def alive(folder: Path) -> set[str]:
    found = told(folder, "nodes", "list")["nodes"]
    return {one["advert"]["node"] for one in found if one["health"] == "alive"}


@pytest.fixture
def folders(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    yield old, new
    for folder in (old, new):
        tiermesh("down", "--dir", folder)


def test_a_revoked_node_stays_revoked_when_the_mesh_is_restored(folders, tmp_path):
    old, new = folders
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    sealed = tmp_path / "keys.sealed", "--passphrase-file", tmp_path / "passphrase"
    up(old)
    told(old, "nodes", "revoke", "edge-2")
    told(old, "enrol", "token", "--site", "site-1")
    told(old, "keys", "backup", *sealed)
    known = states(old)
    assert (known["edge-1"], known["edge-2"]) == ("active", "revoked")
    told(old, "down")

    told(new, "keys", "restore", *sealed)
    up(new)
    assert states(new) == known
    eventually(lambda: "edge-1" in alive(new), "who was not revoked is in")
    # It may get in before the cloud has read who is not to be: then it is put out.
    eventually(lambda: "edge-2" not in alive(new), "who was revoked is out")
    log = (new / "logs" / "edge-2.log").read_text()
    assert "uthorization" in log or "revoked" in log
