"""`tiermesh bundles` on local folders; whole builds are tested with the builder."""

import json
import time

import pytest
from typer.testing import CliRunner

from cloud_core.builder.process import ROOT
from cloud_core.cli.bundles import app
from cloud_core.cli.keys import app as keys
from cloud_core.cli.main import run
from cloud_core.cli.publishing import at_hand
from cloud_core.identity.founding import Plan, founded
from cloud_core.up.layout import Layout
from cloud_core.up.signed import repository
from edge_agent.bundles.believed import Rights
from protocol.bundles import Manifest
from protocol.errors import ConflictError, ForbiddenError, UnknownError

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
    manifest = Manifest.parse((DEMO / "digits-mlp-tiny" / "manifest.json").read_bytes())
    (bundle,) = json.loads(result.stdout)["bundles"]
    assert Manifest.model_validate(bundle) == manifest


def test_what_is_published_is_listed_promoted_and_gone_back_from(tmp_path):
    mesh = ("--dir", tmp_path, "--json")
    made = json.loads(invoke("publish", DEMO, *mesh).stdout)["published"]
    assert {(one["bundle"], one["channel"], one["new"]) for one in made} == {
        ("digits-cnn-small", "current", True), ("digits-mlp-tiny", "current", True),
    }  # fmt: skip
    again = json.loads(invoke("publish", DEMO, *mesh).stdout)["published"]
    assert not any(one["new"] for one in again)
    listed = json.loads(invoke("list", *mesh).stdout)["bundles"]
    assert {one["publisher"] for one in listed} == {"local"}
    shown = json.loads(invoke("show", "digits-mlp-tiny", *mesh).stdout)["bundles"]
    assert shown[0]["publisher"] == "local"
    assert invoke("verify", *mesh).exit_code == 0
    assert isinstance(invoke("rollback", "digits-mlp-tiny", *mesh).exception, ConflictError)
    promoted = invoke("promote", "digits-mlp-tiny", *mesh)
    assert json.loads(promoted.stdout)["current"]["version"] == 1
    blob = next((tmp_path / "repository" / "blobs").iterdir())
    blob.write_bytes(b"spoiled")
    assert invoke("verify", *mesh).exit_code == 1


def test_a_publisher_is_added_and_revoked(tmp_path):
    invoke("publish", DEMO / "digits-mlp-tiny", "--dir", tmp_path)
    added = invoke("publisher", "acme", "--task", "digits", "--dir", tmp_path, "--json")
    assert "acme" in json.loads(added.stdout)["publishers"]
    refused = invoke("publish", DEMO, "--publisher", "acme", "--dir", tmp_path).exception
    assert isinstance(refused, ForbiddenError)
    revoked = invoke("publisher", "acme", "--revoke", "--dir", tmp_path, "--json")
    assert "acme" not in json.loads(revoked.stdout)["publishers"]


@pytest.mark.parametrize("verb", ["list", "add", "remove", "show", "revoke"])
def test_a_verb_makes_no_publisher_but_ends_one_that_was_made(verb, tmp_path, capsys):
    at = ["--dir", str(tmp_path)]
    assert run(["bundles", "publish", str(DEMO / "digits-mlp-tiny"), *at], {}) == 0
    before = at_hand(tmp_path).believed().publishers
    assert run(["bundles", "publisher", verb, *at], {}) == 2
    assert "hint: to add one" in capsys.readouterr().err
    assert at_hand(tmp_path).believed().publishers == before
    at_hand(tmp_path).add_publisher(verb, Rights(code=False, tasks=("*",)))
    assert run(["bundles", "publisher", verb, "--revoke", *at], {}) == 0
    assert at_hand(tmp_path).believed().publishers == before


def publishers(mesh):
    return set(repository(Layout(mesh), time.time).believed().publishers)


@pytest.mark.parametrize("name", ["local", "demo"])
def test_who_was_revoked_stays_so_when_others_publish(tmp_path, name):
    mesh = ("--dir", tmp_path)
    invoke("publish", DEMO / "digits-mlp-tiny", *mesh)
    for publisher in ("demo", "acme"):
        invoke("publisher", publisher, "--code", *mesh)
    assert invoke("publisher", name, "--revoke", *mesh).exit_code == 0
    refused = invoke("publish", DEMO, "--publisher", name, *mesh).exception
    assert isinstance(refused, ForbiddenError)
    assert f"{name} was revoked" in refused.error
    assert invoke("publish", DEMO, "--publisher", "acme", *mesh).exit_code == 0
    assert publishers(tmp_path) == {"local", "demo", "acme"} - {name}
    assert invoke("publisher", name, *mesh).exit_code == 0  # on purpose, it may again
    assert name in publishers(tmp_path)


def test_publishing_lets_only_the_operator_publish(tmp_path):
    assert invoke("publish", DEMO, "--dir", tmp_path / "new").exit_code == 0
    assert publishers(tmp_path / "new") == {"local"}
    founded(Plan(tmp_path / "mesh", "hub.example.org", {}, data=str(tmp_path)), time.time())
    hub = tmp_path / "mesh" / "hub"
    assert invoke("publish", DEMO, "--dir", hub).exit_code == 0
    assert publishers(hub) == {"local"}


def test_who_makes_the_keys_first_publishes_next(tmp_path):
    made = CliRunner().invoke(keys, ["create", "--dir", str(tmp_path)])
    assert made.exit_code == 0
    assert invoke("publish", DEMO, "--dir", tmp_path).exit_code == 0
    assert publishers(tmp_path) == {"local"}


def test_a_folder_without_bundles_is_an_error(tmp_path):
    assert isinstance(invoke("list", tmp_path).exception, UnknownError)


@pytest.mark.parametrize(
    "arguments",
    [("list", "no-such-folder"), ("build", "no-such-recipe", "--out", "x"), ("build", "digits")],
)
def test_a_wrong_command_line_exits_2(arguments):
    assert invoke(*arguments).exit_code == 2
