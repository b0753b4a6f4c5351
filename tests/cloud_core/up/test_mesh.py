"""What runs is written down, as far as the disk allows."""

import pytest

from cloud_core.up import mesh, state
from cloud_core.up.layout import Layout
from cloud_core.up.mesh import Mesh
from edge_agent.clock import ManualClock
from protocol.errors import MeshError
from tests.cloud_core.up.test_topology import a_topology


def test_what_runs_can_be_read_by_others(tmp_path):
    layout = Layout(tmp_path)
    Mesh(layout, a_topology(), "t").enter("ready")
    assert state.read(layout).phase == "ready"


def test_a_disk_that_takes_nothing_does_not_end_the_mesh(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    one = Mesh(Layout(tmp_path / "file"), a_topology(), "t")
    one.enter("ready")
    assert one.state.phase == "ready"
    assert "state.json is not up to date: File exists" in caplog.text


async def test_without_room_on_the_disk_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(mesh, "LEAST_BYTES", 1 << 80)
    with pytest.raises(MeshError, match="MB are free at"):
        async with mesh.running(mesh.UpConfig(dir=tmp_path), ManualClock(), print):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
