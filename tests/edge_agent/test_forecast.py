"""Predictions follow what is observed, slowly, and come back when nothing is."""

import pytest

from edge_agent.admission import run_ms
from edge_agent.queue.forecast import LEAST, MOST, Forecast
from protocol.bundles import estimate
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
