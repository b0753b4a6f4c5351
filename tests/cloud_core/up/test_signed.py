"""The bundles of `up`: whose signatures count is kept apart from what is served."""

import shutil
import time
from pathlib import Path

import pytest

from cloud_core.up.layout import Layout
from cloud_core.up.signed import repository, sign
from edge_agent.bundles.keeping import root_in
from edge_agent.bundles.trust import TrustedSet
from protocol.errors import UntrustedError

DEMO = Path(__file__).parents[3] / "deploy" / "demo"


def signed(folder: Path) -> Layout:
    layout = Layout(folder)
    sign(layout, DEMO, (), time.time)
    return layout


def test_what_is_believed_does_not_come_along_with_what_is_served(tmp_path):
    ours, theirs = signed(tmp_path / "ours"), signed(tmp_path / "theirs")
    assert not ours.bundle_root.is_relative_to(ours.repository)
    assert ours.bundle_root.stat().st_mode & 0o077 == 0
    before = root_in(ours.bundle_root)
    shutil.rmtree(ours.repository)
    shutil.copytree(theirs.repository, ours.repository)
    shutil.copytree(theirs.bundle_keys, ours.bundle_keys, dirs_exist_ok=True)
    sign(ours, DEMO, (), time.time)  # as the next `up` does
    assert root_in(ours.bundle_root) == before
    timestamp = (ours.repository / "metadata" / "timestamp.json").read_bytes()
    with pytest.raises(UntrustedError, match="signature"):
        TrustedSet(before).load_timestamp(timestamp, None)


def test_a_mesh_from_before_gets_the_root_that_it_had(tmp_path):
    layout = signed(tmp_path)
    first = repository(layout, time.time).store.first_root()
    layout.bundle_root.unlink()
    assert root_in(signed(tmp_path).bundle_root) == first
