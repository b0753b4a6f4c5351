"""The benchmark's arithmetic: ratios within rounds, medians over them, verdicts."""

import pytest

from tests.benchmark.report import MANY, ONE, judged, table, verdicts

ZERO = {"rate": 1.0, "p50_ms": 1.0, "p99_ms": 1.0, "per_cpu_s": 1.0}


def a_round(serve, fastapi, p50=1.0):
    return {
        "tiermesh serve": {MANY: ZERO | {"rate": serve}, ONE: ZERO | {"p50_ms": p50}},
        "fastapi, 1 worker": {MANY: ZERO | {"rate": fastapi}, ONE: ZERO},
    }


def line(rounds, name):
    return next(line for line in verdicts(rounds) if line["target"] == name)


def test_ratios_are_taken_within_a_round_and_their_median_counts():
    rounds = [a_round(130, 100), a_round(20, 10), a_round(300, 200)]
    found = line(rounds, "site of one: rate against FastAPI")
    assert (found["median"], found["lowest"], found["highest"]) == (1.5, 1.3, 2.0)


@pytest.mark.parametrize(("p50", "verdict"), [(1.1, "met"), (1.11, "NOT MET")])
def test_a_target_is_met_up_to_its_limit(p50, verdict):
    rounds = [a_round(1, 1, p50)]
    assert line(rounds, "site of one: p50 against FastAPI")["verdict"] == verdict


def test_a_ratio_without_a_target_gets_no_verdict():
    assert line([a_round(1, 1)], "site of one: per CPU-second against FastAPI")["verdict"] == ""


def test_what_was_not_measured_is_not_judged():
    assert not any("NATS" in str(line["target"]) for line in verdicts([a_round(1, 1)]))
    assert verdicts([{"fastapi, 1 worker": {ONE: ZERO}}]) == []


def test_the_tables_name_every_contestant_and_verdict():
    rounds = [a_round(1300, 1000)]
    assert "| tiermesh serve | 32 | 1,300 | 1.000 | 1.000 | 1 |" in table(rounds)
    assert "| >= 1.3 | 1.30 x (1.30 to 1.30) | met |" in judged(rounds)
