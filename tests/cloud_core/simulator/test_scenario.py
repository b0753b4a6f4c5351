"""The file of a scenario: what is wrong with it is said with its line and how to mend it."""

from pathlib import Path

import pytest

from cloud_core.simulator.scenario import load
from protocol.errors import BadRequestError
from tests.cloud_core.simulator.scenes import EDGE, scene, write

GOOD = """\
seed: 1
duration_s: 20
profiles: [profiles.csv]
tasks:
  imagenet: {metric: top1_pct, input_kb: 150, load_ms: 800}
fleets:
  - {name: pi, system: "pi-*", tier: edge, site: "site-{i}", sites: 2, per_site: 2}
  - name: gpu
    system: gpu
    tier: cloud
    site: cloud
    nodes: 1
traces:
  - {file: trace.csv, task: imagenet, enters: edge}
wants:
  - {latency_ms: 100}
"""


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "scene.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_one_is_read_with_its_defaults(good):
    scenario = load(good)
    assert scenario.name == "scene"
    assert scenario.fleets[0].held == "always"
    assert scenario.fleets[0].site_names == ("site-1", "site-2")
    assert (scenario.fleets[0].each, scenario.fleets[1].each) == (2, 1)
    assert scenario.wants[0].percentile == 99.0
    assert scenario.at(Path("x.csv")) == good.parent / "x.csv"


@pytest.mark.parametrize(
    ("change", "line", "words", "hint"),
    [
        (("nodes: 1", "nodes: none"), 12, "fleets.1.nodes", "mend fleets.1.nodes"),
        (("    tier: cloud\n", "    tier: clouds\n"), 10, "fleets.1.tier", "mend"),
        (("duration_s: 20\n", ""), 1, "duration_s: is missing", "add duration_s"),
        (("seed: 1", "sede: 1"), 1, "sede: no such field", "known there: seed"),
        (("latency_ms: 100", "latency_ms: 100, delay: 3"), 16, "no such field", "remove"),
        (("latency_ms: 100", "latency_ms: -1"), 16, "greater than 0", "mend"),
        (('"site-{i}"', "site"), 7, "several sites need {i}", "mend fleets.0"),
        (("name: gpu", "name: pi"), 8, "two fleets are named 'pi'", "mend fleets.1.name"),
        (("task: imagenet, enters", "task: a, enters"), 14, "no task 'a'", "mend traces.0.task"),
        (("    nodes: 1\n", "    nodes: 1\n    nodes: 2\n"), 13, "stands twice", "remove one"),
        (("tasks:\n", "tasks: [\n"), 6, "expected", "mend the YAML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_how_to_mend_it(good, change, line, words, hint):
    good.write_text(GOOD.replace(*change))
    with pytest.raises(BadRequestError) as caught:
        load(good)
    assert words in caught.value.error
    assert f"{good}:{line}: " in caught.value.error
    assert hint in caught.value.hint


def test_several_faults_are_told_at_once(good):
    good.write_text(GOOD.replace("seed: 1", "seed: -1").replace("nodes: 1", "nodes: 0"))
    with pytest.raises(BadRequestError) as caught:
        load(good)
    assert len(caught.value.error.splitlines()) == 2


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BadRequestError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_an_empty_file_is_said(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    with pytest.raises(BadRequestError, match="the file is empty"):
        load(path)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"at_s": 1}, "give slow .* or cut"),
        ({"at_s": 1, "slow": "pi", "cut": "edge-middle"}, "one of the two"),
        ({"at_s": 1, "slow": "tpu"}, "no fleet is named 'tpu': pi, gpu"),
    ],
)
def test_a_fault_names_one_thing_that_there_is(tmp_path, fault, words):
    with pytest.raises(BadRequestError, match=words):
        scene(tmp_path, faults=[fault])


def test_a_fleet_is_counted_one_way(tmp_path):
    with pytest.raises(BadRequestError, match=r"nodes .* or sites and per_site"):
        scene(tmp_path, fleets=[{**EDGE, "nodes": 3}])


def test_a_border_has_one_speed(tmp_path):
    links = {"edge-middle": {"mbps": 5, "mbps_file": "mbps.json"}}
    with pytest.raises(BadRequestError, match="mbps or mbps_file"):
        load(write(tmp_path, links=links))
