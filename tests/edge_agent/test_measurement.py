"""What a measurement wants to be run, and what it says of sizes that it could not run."""

import pytest

from edge_agent.admission import run_ms
from edge_agent.stock.measurement import LEAST_RUNS, WARM_UP_RUNS, Measurement, completed
from protocol.bundles import estimate
from protocol.types import Latency
from tests.build import a_profile, a_variant

SIZES = (1, 8, 32)


def reference(*ms):
    """A variant for batches of 1, 8 and 32; its builder knows as many of them as there are `ms`."""
    runs = {size: estimate(each) for size, each in zip(SIZES, ms, strict=False)}
    return a_variant(batches=SIZES, max_batch=32, profile=a_profile(runs=runs))


def begun(variant, budget_s):
    return Measurement(variant, budget_s, load_ms=5.0, memory_bytes=7)


def run(measurement, seconds, runs=10**6):
    """Run what it wants, at most so often; `seconds` by rows. Returns how often each size ran."""
    ran = {}
    while runs and (rows := measurement.rows) is not None:
        ran[rows] = ran.get(rows, 0) + 1
        measurement.took(seconds(rows))
        runs -= 1
    return ran


def medians(profile):
    return {size: round(latency.ms[0], 3) for size, latency in profile.runs.items()}


def test_a_size_without_time_is_as_far_above_the_measured_as_the_profile_has_it():
    measurement = begun(reference(10.0, 20.0, 50.0), 0.3)
    ran = run(measurement, lambda _: 0.040)
    profile = measurement.profile()
    assert set(ran) == {1}
    assert medians(profile) == {1: 40, 8: 80, 32: 200}
    assert [profile.runs[size].count for size in SIZES] == [LEAST_RUNS, 0, 0]
    assert run_ms(profile, 32, 50.0) == pytest.approx(200)  # not 32 runs of 40


def test_where_the_profile_does_not_know_it_it_is_on_the_line_of_those_measured():
    measurement = begun(reference(10.0), 0.85)
    ran = run(measurement, lambda rows: 0.010 + 0.003 * rows)
    assert set(ran) == {1, 8}
    assert medians(measurement.profile()) == {1: 13, 8: 34, 32: 106}


def test_where_nothing_is_known_several_runs_are_predicted():
    measurement = begun(reference(10.0), 0.1)
    run(measurement, lambda _: 0.2)
    assert medians(measurement.profile()) == {1: 200}


def test_a_scaled_size_scatters_as_the_measured_does():
    scattered = Latency(ms=(10, 12, 13, 15, 20), count=100)
    runs = completed({1: scattered}, reference(5.0, 10.0, 15.0))
    assert runs[8].ms == pytest.approx((20, 24, 26, 30, 40))
    assert runs[1] == scattered


def test_a_guess_of_nothing_scales_nothing():
    assert set(completed({1: estimate(10.0)}, reference(0.0, 0.0, 0.0))) == {1}
    assert set(completed({1: estimate(0.0), 8: estimate(0.0)}, reference(10.0))) == {1, 8}


def test_a_larger_size_is_never_scaled_below_a_smaller():
    runs = completed({1: estimate(10.0), 8: estimate(30.0)}, reference(10.0, 20.0, 15.0))
    assert runs[32].ms >= runs[8].ms


def test_a_larger_batch_that_was_faster_by_chance_makes_none_faster_still():
    fast = {1: estimate(10.0), 8: estimate(1.0)}
    assert completed(fast, reference(10.0))[32] == estimate(10.0)
    measurement = begun(reference(0.0), 1.0)
    run(measurement, lambda rows: 0.010 / rows)
    assert set(medians(measurement.profile()).values()) == {10}


def test_it_may_rest_between_any_two_runs_and_says_what_is_known_so_far():
    variant, seconds = reference(10.0, 20.0, 50.0), lambda rows: 0.001 * rows
    at_once, now_and_then = begun(variant, 0.5), begun(variant, 0.5)
    expected = run(at_once, seconds)
    assert now_and_then.sizes == 0
    ran = {}
    while now_and_then.rows is not None:
        for rows, times in run(now_and_then, seconds, runs=1).items():
            ran[rows] = ran.get(rows, 0) + times
        if now_and_then.sizes:
            assert set(now_and_then.profile().runs) == set(SIZES)
    assert ran == expected
    assert now_and_then.profile() == at_once.profile()
    assert all(times >= WARM_UP_RUNS + LEAST_RUNS for times in ran.values())


def test_the_first_run_that_counts_is_told_as_it_is():
    measurement = begun(reference(10.0, 20.0, 50.0), 0.5)
    run(measurement, lambda _: 1e-3, runs=WARM_UP_RUNS)
    assert measurement.sizes == 0
    run(measurement, lambda _: 4e-3, runs=1)
    assert measurement.sizes == 1
    assert medians(measurement.profile()) == {1: 4, 8: 8, 32: 20}
    assert measurement.profile().runs[1].count == 1


def test_no_run_is_begun_that_would_take_long_beside_the_smallest():
    """Who asks waits for one run: of what is not the smallest, less than a fifth of the budget."""
    measurement = begun(reference(10.0, 80.0, 320.0), 0.5)
    longest = max(run(measurement, lambda rows: rows * 0.010).items())[0] * 0.010
    assert longest <= 0.1


def test_what_is_under_way_should_be_over_after_what_is_known_of_it():
    measurement = begun(reference(10.0, 20.0, 50.0), 0.5)
    measurement.begun(7.0)
    assert measurement.until == pytest.approx(7.010)  # as the builder has it
    run(measurement, lambda _: 0.020, runs=1)
    measurement.begun(7.5)
    assert measurement.until == pytest.approx(7.520)  # as the last
    while measurement.rows == 1:
        run(measurement, lambda _: 0.020, runs=1)
    measurement.begun(8.0)
    assert measurement.until == pytest.approx(8.040)  # twice that, for eight rows
