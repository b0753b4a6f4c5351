import pytest

from edge_agent.runtimes.tflitebounds import holds_together
from tests.data.blend import HERE

FILES = sorted(HERE.glob("*.tflite"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_whole_file_holds_together(path):
    assert holds_together(path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_cut_anywhere_does_not(path):
    data = path.read_bytes()
    step = max(1, len(data) // 200)
    held = [end for end in range(0, len(data) - 64, step) if holds_together(data[:end])]
    assert held == []


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\0\0\0TFL3", b"\xff\xff\xff\xffTFL3"])
def test_other_bytes_do_not(data):
    assert not holds_together(data)
