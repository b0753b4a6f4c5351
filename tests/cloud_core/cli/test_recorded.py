"""What commands do to a mesh's files is recorded where the cloud of that mesh reads it."""

import json
import time
from pathlib import Path

import pytest

from cloud_core.audit.log import AuditLog
from cloud_core.builder.process import ROOT
from cloud_core.cli.main import run
from cloud_core.cli.recorded import audit_log, audit_path
from cloud_core.config import CloudConfig
from cloud_core.identity.founding import Plan, founded
from cloud_core.up.layout import Layout
from edge_agent.clock import SystemClock
from protocol.errors import BadRequestError, ForbiddenError

TINY = ROOT / "deploy" / "demo" / "digits-mlp-tiny"


@pytest.fixture
def hub(tmp_path):
    """The hub's folder as `init` writes it, its data beside it."""
    made = tmp_path / "mesh" / "hub"
    founded(Plan(tmp_path / "mesh", "h", {}, str(made), str(tmp_path / "data")), time.time())
    return made


def read_by_cloud(hub: Path) -> list[str]:
    config = CloudConfig.model_validate_json((hub / "cloud.json").read_bytes())
    return [entry.kind for entry in AuditLog(config.audit, SystemClock()).read()]


def test_actions_on_an_init_mesh_are_in_the_log_that_its_cloud_reads(hub, tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery\n")
    for command in (
        ("bundles", "publish", TINY),
        ("bundles", "publisher", "acme"),
        ("keys", "rotate", "acme"),
        ("tokens", "issue", "acme", "--local"),
        ("keys", "backup", tmp_path / "saved", "--passphrase-file", secret),
        ("keys", "restore", tmp_path / "saved", "--passphrase-file", secret, "--over"),
    ):
        assert run([*map(str, command), "--dir", str(hub)], {}) == 0
    assert read_by_cloud(hub) == [
        "bundle-published", "publisher-added", "keys-rotated", "token-issue-local",
        "keys-backup", "keys-restore",
    ]  # fmt: skip
    assert not Layout(hub).audit.exists()


def test_a_command_goes_on_with_the_chain_that_the_cloud_writes(hub, tmp_path):
    running = AuditLog(tmp_path / "data" / "audit" / "log.jsonl", SystemClock())
    for turn in range(3):
        running.record("by-the-cloud", turn=turn)
        assert run(["bundles", "publisher", f"p{turn}", "--dir", str(hub)], {}) == 0
    running.record("by-the-cloud", turn=3)
    assert read_by_cloud(hub) == [*["by-the-cloud", "publisher-added"] * 3, "by-the-cloud"]
    assert (running.verify().head.n, running.verify().fault) == (7, "")


@pytest.mark.parametrize("config", [None, {}, {"audit": None}])
def test_without_a_log_in_the_configuration_it_is_the_folders_own(tmp_path, config):
    if config is not None:
        (tmp_path / "cloud.json").write_text(json.dumps(config))
    assert audit_path(Layout(tmp_path)) == Layout(tmp_path).audit


@pytest.mark.parametrize("text", ["{", "[]", '{"audit": 7}'])
def test_a_configuration_that_cannot_be_read_is_an_error(tmp_path, text):
    (tmp_path / "cloud.json").write_text(text)
    with pytest.raises(BadRequestError, match=r"cloud\.json"):
        audit_path(Layout(tmp_path))


def test_nothing_is_done_that_cannot_be_recorded(hub, tmp_path):
    (tmp_path / "data").write_text("a file where the cloud's folder should be")
    with pytest.raises(ForbiddenError, match="unrecorded"):
        audit_log(Layout(hub))
    assert run(["bundles", "publisher", "acme", "--dir", str(hub)], {}) != 0
    assert run(["bundles", "list", "--dir", str(hub)], {}) == 0
    (tmp_path / "data").unlink()
    assert run(["keys", "rotate", "acme", "--dir", str(hub)], {}) != 0
