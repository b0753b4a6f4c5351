"""What runs is written down, as far as the disk allows."""

from cloud_core.up import state
from cloud_core.up.layout import Layout
from cloud_core.up.mesh import Mesh
from tests.cloud_core.up.test_topology import a_topology


def test_what_runs_can_be_read_by_others(tmp_path):
    layout = Layout(tmp_path)
    Mesh(layout, a_topology(), "t").enter("ready")
    assert state.read(layout).phase == "ready"


def test_a_disk_that_takes_nothing_does_not_end_the_mesh(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    mesh = Mesh(Layout(tmp_path / "file"), a_topology(), "t")
    mesh.enter("ready")
    assert mesh.state.phase == "ready"
    assert "state.json is not up to date: File exists" in caplog.text
