"""The README's Python runs as it stands against a mesh, and says what an answer says."""

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.mesh

README = (Path(__file__).parents[2] / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def digit(images, labels, tmp_path):
    np.save(tmp_path / "image.npy", images[0])
    return tmp_path, images[:1], labels[0]


@pytest.mark.parametrize("code", PYTHON)
def test_its_python_runs_as_it_stands(code, running, digit, monkeypatch, capsys):
    folder, image, label = digit
    monkeypatch.chdir(folder)
    place = running.gate("cloud").removeprefix("http://")
    names = {"token": running.document["token"], "image": image}
    exec(code.replace("127.0.0.1:8080", place), names)  # noqa: S102  # it is our own page
    assert capsys.readouterr().out.startswith(f"{label} ")


def test_every_answer_field_is_explained(running, images):
    with running.mesh() as mesh:
        result = mesh.ask("digits", images[:1])
    for field in ("variant", "architecture", "node", "site", "tier", "predicted_ms", "cost_usd"):
        assert hasattr(result, field)
        assert f"`{field}`" in README
