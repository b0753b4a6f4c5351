"""`tiermesh bundles` on local folders; whole builds are tested with the builder."""

import json

import pytest
from typer.testing import CliRunner

from cloud_core.builder.process import ROOT
from cloud_core.cli.bundles import app
from protocol.errors import UnknownError

DEMO = ROOT / "deploy" / "demo"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_list_names_each_bundle_with_its_task():
    result = invoke("list", DEMO, "--json")
    assert result.exit_code == 0
    found = {one["bundle"]: one["task"] for one in json.loads(result.stdout)["bundles"]}
    assert found == {"digits-cnn-small": "digits", "digits-mlp-tiny": "digits"}


def test_show_prints_a_line_for_each_variant():
    result = invoke("show", DEMO / "digits-mlp-tiny")
    assert result.exit_code == 0
    assert len([line for line in result.stdout.splitlines() if line.startswith("mlp-tiny.")]) == 5


def test_show_as_json_is_the_manifest():
    result = invoke("show", DEMO / "digits-mlp-tiny", "--json")
    manifest = json.loads((DEMO / "digits-mlp-tiny" / "manifest.json").read_bytes())
    (bundle,) = json.loads(result.stdout)["bundles"]
    assert {key: bundle[key] for key in manifest} == manifest


def test_a_folder_without_bundles_is_an_error(tmp_path):
    assert isinstance(invoke("list", tmp_path).exception, UnknownError)


@pytest.mark.parametrize(
    "arguments",
    [("list", "no-such-folder"), ("build", "no-such-recipe", "--out", "x"), ("build", "digits")],
)
def test_a_wrong_command_line_exits_2(arguments):
    assert invoke(*arguments).exit_code == 2
