"""The bundles of `up`: whose signatures count is kept apart from what is served."""

import shutil
import time
from pathlib import Path

import pytest

from cloud_core.up.layout import Layout
from cloud_core.up.signed import founded, repository, sign
from edge_agent.bundles.keeping import root_in
from edge_agent.bundles.trust import TrustedSet
from protocol.errors import ForbiddenError, UntrustedError

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


@pytest.mark.parametrize("gone", ["demo", "local"])
def test_up_brings_nobody_back_who_was_revoked(tmp_path, gone):
    layout = signed(tmp_path)
    made = repository(layout, time.time)
    assert set(made.believed().publishers) == {"demo", "local"}
    made.revoke_publisher(gone)
    signed(tmp_path)
    assert gone not in made.believed().publishers


def test_up_signs_its_demo_into_a_repository_that_others_began(tmp_path):
    layout = Layout(tmp_path)
    founded(layout, time.time)
    signed(tmp_path)
    assert {one.publisher for one in repository(layout, time.time).targets()} == {"demo"}


def test_up_publishes_nothing_in_a_revoked_name(tmp_path):
    made = repository(signed(tmp_path), time.time)
    made.revoke_publisher("local")
    with pytest.raises(ForbiddenError, match="local was revoked"):
        sign(Layout(tmp_path), DEMO, (DEMO,), time.time)
