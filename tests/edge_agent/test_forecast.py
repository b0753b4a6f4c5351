"""Predictions follow what is observed, slowly, and come back when nothing is."""

import pytest

from edge_agent.admission import run_ms
from edge_agent.queue.forecast import LEAST, MOST, Forecast
from protocol.bundles import estimate
from protocol.types import Latency
from tests.build import a_profile

PROFILE = a_profile(runs={1: estimate(2.0), 8: estimate(4.0)})


@pytest.mark.parametrize("rows", [1, 5, 8, 9, 20])
def test_unobserved_it_is_the_shared_rule(rows):
    assert Forecast(PROFILE).run_ms(rows, 99.0) == run_ms(PROFILE, rows, 99.0)


def test_it_follows_a_slow_spell_within_bounds():
    forecast = Forecast(PROFILE)
    for _ in range(30):
        forecast.observe(1, 6.0, now=0.0)
    assert forecast.run_ms(1, 99.0) == pytest.approx(6.0, rel=0.06)
    for _ in range(200):
        forecast.observe(1, 1e6, now=0.0)
    assert forecast.factor == MOST
    for _ in range(500):
        forecast.observe(1, 0.0, now=0.0)
    assert forecast.factor == LEAST


def test_one_stall_hardly_moves_it():
    forecast = Forecast(PROFILE)
    forecast.observe(1, 1e6, now=0.0)
    assert forecast.run_ms(1, 99.0) < 2.2


def test_without_news_it_forgets():
    forecast = Forecast(PROFILE)
    for _ in range(100):
        forecast.observe(1, 1e6, now=0.0)
    forecast.forget(now=0.5)
    assert forecast.factor == MOST
    forecast.forget(now=60.0)
    assert forecast.factor == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rows", "ms"), [(1, 8.0), (3, 24.0), (5, 36.0), (8, 36.0), (9, 44.0), (16, 72.0), (19, 96.0)]
)
def test_what_waits_is_counted_in_the_batches_that_take_the_least(rows, ms):
    profile = a_profile(runs={1: estimate(8.0), 8: estimate(36.0), 32: estimate(300.0)})
    assert Forecast(profile).work_ms(rows, 50.0) == pytest.approx(ms)


def test_of_what_waits_one_run_is_counted_at_the_percentile():
    tail = Latency(ms=(8.0, 9.0, 10.0, 20.0, 30.0))
    forecast = Forecast(a_profile(runs={1: tail}))
    assert forecast.work_ms(3, 99.0) == pytest.approx(8.0 + 8.0 + 20.0)


def test_many_sizes_are_counted_without_trying_every_choice_of_them():
    profile = a_profile(runs={2**n: estimate(8.0 + 2**n) for n in range(31)})
    assert Forecast(profile).work_ms(2**30 - 1, 50.0) > 0.0
