"""The report: one file, nothing from elsewhere, every figure and plot in it."""

import re
import shutil
import subprocess
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


def test_a_bound_decides_nothing_and_takes_no_time_for_it(made):
    rows = {name: re.search(f"<tr><td>{name}</td>.*?</tr>", made)[0] for name in ("mesh", "oracle")}
    assert rows["oracle"].endswith("<td>-</td><td>-</td></tr>")
    assert "<td>-</td>" not in rows["mesh"]


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


def test_a_policy_has_one_colour_in_all_plots_and_a_line_even_for_nothing():
    drawn = svg.bars(
        [("mesh", 0.5), ("oracle", 0.0), ("static-best", 12345.0)], mark=1.0, unit=" x"
    )
    colours = re.findall(r"fill=\"(var[^\"]*)\"", drawn)
    assert colours == [svg.colour(at) for at in range(3)]
    assert ">0 x<" in drawn
    assert ">12,345 x<" in drawn


MEASURE = """<script>document.title = "cut: " + [...document.querySelectorAll(".wide, svg")].filter(
  each => each.scrollWidth > each.clientWidth + 1 || each.getBoundingClientRect().right
    > document.documentElement.clientWidth).length;</script></body>"""
"""Counts what does not fit onto the page."""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_shows_all_of_it_side_by_side(made, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(made.replace("</body>", MEASURE), encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1240,2000",
        f"--user-data-dir={tmp_path / 'chromium'}", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert "<title>cut: 0</title>" in done.stdout
