"""The report: one file, nothing from elsewhere, every figure and plot in it."""

import re
from xml.etree import ElementTree as ET

import pytest

from cloud_core.simulator import svg
from cloud_core.simulator.report import page
from cloud_core.simulator.run import simulate
from tests.cloud_core.simulator.scenes import PROFILES, scene

TWICE = (*PROFILES, {**PROFILES[0], "system": "pi-two", "p50_ms": "25"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    scenario = scene(tmp_path_factory.mktemp("report"), rows=TWICE)
    return page(scenario, simulate(scenario, ["mesh", "oracle", "static-best"]))


def test_nothing_is_fetched_from_elsewhere(made):
    assert not re.search(r"""(src|href)=|url\(|@import|<script""", made)


def test_every_policy_and_every_plot_is_there(made):
    titles = ("wants met", "cost so far", "accuracy of answers", "Distance to the oracle")
    for words in ("mesh", "oracle", "static-best", "Where it ran", *titles):
        assert words in made
    assert made.count("<svg") == 2 + 4 + 3


def test_it_says_what_was_decided_about_the_data(made):
    assert "2 rows match, the lowest p50 is taken: 20 ms (pi-one)" in made


def test_the_plots_are_well_formed(made):
    for drawn in re.findall(r"<svg.*?</svg>", made, re.DOTALL):
        ET.fromstring(drawn)  # noqa: S314  # our own


def test_a_gap_in_the_figures_is_a_gap_in_the_line():
    drawn = svg.lines([("mesh", [1.0, None, 3.0])], 10.0, unit="")
    path = re.search(r'd="([^"]*)"', drawn)[1]
    assert path.count("M") == 2


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [], [None]])
def test_figures_that_do_not_differ_can_be_drawn(values):
    ET.fromstring(svg.lines([("x", values)], 10.0, unit=""))  # noqa: S314  # our own
