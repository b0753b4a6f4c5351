"""The benchmarks of planner and router run, and find candidates: not how fast."""

import json
import subprocess
import sys

import pytest

FIGURES = {"p50_us", "p99_us", "answer_p99_us", "both_p99_us", "met_share"}


@pytest.mark.parametrize("options", [(), ("--full-policy",)])
def test_every_group_has_a_node_and_most_wants_are_met(options):
    results = run("planner", "--nodes", "1200", "--decisions", "40", *options)
    figures = results["1200 nodes"]
    assert figures["groups"] == 2400
    assert figures.keys() >= FIGURES
    assert figures["met_share"] > 0.5


def test_every_query_of_the_router_is_answered():
    results = run("router", "--queries", "160")
    assert all(figures["us"] > 0 for figures in results.values())


def run(name, *options):
    command = (sys.executable, f"tests/benchmark/{name}.py", "--json", *options)
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)
