"""`tiermesh simulate`, as a user types it."""

import json

import pytest

from cloud_core.cli.main import run
from tests.cloud_core.simulator.scenes import write


def simulate(*arguments: object) -> int:
    return run(["simulate", *map(str, arguments)], {})


def test_the_json_is_one_object_and_nothing_else(tmp_path, capsys):
    assert simulate(write(tmp_path), "--json") == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert set(document["policies"]) == {"mesh"}
    assert document["scenario"] == "scene"
    assert not shown.err


@pytest.mark.parametrize(
    "named",
    [
        ("--policy", "mesh", "--policy", "oracle"),
        ("--policy", "mesh", "oracle"),
        ("--policy", "mesh,oracle"),
    ],
)
def test_policies_are_named_one_by_one_or_together(tmp_path, capsys, named):
    assert simulate(write(tmp_path), *named, "--processes", 1, "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["policies"]) == {"mesh", "oracle"}


def test_people_get_a_table_and_a_report(tmp_path, capsys):
    report = tmp_path / "report.html"
    assert simulate(write(tmp_path), "--report", report) == 0
    shown = capsys.readouterr().out
    assert "mesh" in shown
    assert "simulated queries a second" in shown
    assert report.read_text().startswith("<!doctype html>")


def test_a_policy_that_there_is_not_is_a_failure_that_says_which_there_are(tmp_path, capsys):
    assert simulate(write(tmp_path), "--policy", "best") == 1
    assert "infaas-like" in capsys.readouterr().err


def test_a_faulty_scenario_is_told_with_its_line(tmp_path, capsys):
    path = write(tmp_path)
    path.write_text(path.read_text().replace("duration_s: 20", "duration_s: 0"))
    assert simulate(path, "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"].startswith(f"{path}:2: duration_s")


def test_no_scenario_is_a_misuse(capsys):
    assert simulate() == 2
    assert "error" in capsys.readouterr().err
