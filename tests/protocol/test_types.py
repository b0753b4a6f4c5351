"""Distributions, profiles, tensors and prices."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.types import QUANTILES, Axes, Latency, Price, Profile, Tensor

FLAT = Latency(ms=(1, 1, 1, 1, 1))
HUGE = 1e12
durations = st.floats(0, HUGE)
distributions = st.lists(durations, min_size=5, max_size=5).map(
    lambda ms: Latency(ms=tuple(sorted(ms)))
)
percentiles = st.floats(0, 100)


@given(distributions)
def test_the_given_percentiles_are_returned_exactly(latency):
    assert tuple(latency.at(percentile) for percentile in QUANTILES) == latency.ms


@given(distributions, percentiles)
@example(Latency(ms=(0, 5e-324, 1, HUGE / 2, HUGE)), 99.8999)
@example(Latency(ms=(5e-324, HUGE, HUGE, HUGE, HUGE)), 89.99999)
def test_between_two_percentiles_lies_between_their_times(latency, percentile):
    below = max(
        (ms for q, ms in zip(QUANTILES, latency.ms, strict=True) if q <= percentile),
        default=latency.ms[0],
    )
    above = min(
        (ms for q, ms in zip(QUANTILES, latency.ms, strict=True) if q >= percentile),
        default=latency.ms[-1],
    )
    assert below <= latency.at(percentile) <= above
    assert math.isfinite(latency.at(percentile))


@given(distributions, percentiles, percentiles)
@example(Latency(ms=(5e-324, HUGE, HUGE, HUGE, HUGE)), 89.99999, 90)
def test_a_higher_percentile_is_never_faster(latency, one, other):
    low, high = sorted((one, other))
    assert latency.at(low) <= latency.at(high)


def test_times_between_are_log_linear():
    assert Latency(ms=(1, 100, 100, 100, 100)).at(70) == pytest.approx(10)


@given(st.lists(durations, min_size=5, max_size=5))
def test_a_distribution_that_falls_is_refused(ms):
    if ms == sorted(ms):
        assert Latency(ms=tuple(ms))
    else:
        with pytest.raises(ValidationError, match="never faster"):
            Latency(ms=tuple(ms))


@pytest.mark.parametrize(
    "ms",
    [
        (-1, 1, 1, 1, 1),
        (math.nan,) * 5,
        (1, 1, 1, 1, math.inf),
        (1, 1, 1, 1, 1e13),
        (1, 1),
        (1,) * 6,
        (),
    ],
)
def test_what_is_no_distribution_is_refused(ms):
    with pytest.raises(ValidationError):
        Latency(ms=ms)


@given(st.sets(st.integers(1, 128), min_size=1, max_size=6), st.integers(1, 200))
def test_a_run_is_the_smallest_profiled_batch_that_holds_the_rows(sizes, rows):
    profile = Profile(
        load_ms=0, memory_bytes=0, runs={size: Latency(ms=(size,) * 5) for size in sizes}
    )
    holds = [size for size in sizes if size >= rows]
    assert profile.run(rows).ms[0] == (min(holds) if holds else max(sizes))


@pytest.mark.parametrize("runs", [{}, {0: FLAT}, {-1: FLAT}, {2**31: FLAT}, {1: None}])
def test_a_profile_without_a_real_batch_is_refused(runs):
    with pytest.raises(ValidationError):
        Profile(load_ms=0, memory_bytes=0, runs=runs)


@pytest.mark.parametrize("memory", [-1, 2**63, 10**400])
def test_a_size_that_no_machine_counts_is_refused(memory):
    with pytest.raises(ValidationError):
        Profile(load_ms=0, memory_bytes=memory, runs={1: FLAT})


@pytest.mark.parametrize(
    ("datatype", "shape", "nbytes"),
    [
        ("FP32", (1, 8, 8), 256),
        ("INT64", (2, 128), 2048),
        ("BOOL", (3,), 3),
        ("FP16", (0, 9), 0),
        ("FP64", (2**31 - 1,) * 8, 8 * (2**31 - 1) ** 8),
    ],
)
def test_a_tensor_knows_its_bytes(datatype, shape, nbytes):
    assert Tensor(name="x", datatype=datatype, shape=shape).nbytes == nbytes


@pytest.mark.parametrize("shape", [(), (1,) * 9, (-1,), (2**31,), (1.5,)])
def test_a_shape_that_is_none_is_refused(shape):
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec's
        Tensor.checked(name="x", datatype="FP32", shape=shape)


def test_only_a_signature_has_open_dimensions():
    assert Axes(name="x", datatype="FP32", shape=(-1, 8)).shape == (-1, 8)
    with pytest.raises(ValidationError):
        Axes(name="x", datatype="FP32", shape=(-2, 8))


def test_a_busy_millisecond_costs_energy_and_rent():
    price = Price(watts=1000, usd_per_kwh=0.36, usd_per_hour=3.24)
    assert price.usd_per_busy_ms == pytest.approx(1e-6)


def test_a_message_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        FLAT.count = 3
