"""How run times scatter is learnt within what a sketch promises, and old news fades."""

import random

import pytest

from middle_tier.sight.spread import CREDIBLE, GROWTH, KEPT, Spread
from protocol.types import QUANTILES, Latency

PROFILE = Latency(ms=(10, 15, 20, 30, 50), count=9)


def taught(count: int, ratio) -> Spread:
    spread = Spread()
    for _ in range(count):
        spread.add(ratio())
    return spread


@pytest.mark.parametrize("percentile", [10.0, 50.0, 90.0, 99.0])
def test_a_quantile_is_within_one_bucket_of_the_exact_one(percentile):
    chance = random.Random(5)  # noqa: S311  # a seeded test
    drawn = [chance.lognormvariate(0.0, 0.4) for _ in range(1500)]
    values = iter(drawn)
    spread = taught(1500, lambda: next(values))
    exact = sorted(drawn)[int(1500 * percentile / 100)]
    assert spread.at(percentile) == pytest.approx(exact, rel=1.5 * GROWTH)


def test_with_few_answers_the_profile_stands():
    spread = taught(CREDIBLE - 1, lambda: 1.0)
    assert spread.shape(PROFILE) is None
    assert spread.news(PROFILE) is None


def test_what_so_few_cannot_show_is_as_far_out_as_the_profile_has_it():
    shape = taught(CREDIBLE, lambda: 1.0).shape(PROFILE)
    assert dict(zip(QUANTILES, shape, strict=True)) == {
        50.0: 1.0, 90.0: 1.0, 95.0: 1.0, 99.0: 3.0, 99.9: 5.0,
    }  # fmt: skip


def test_only_what_is_new_is_told():
    spread = taught(CREDIBLE, lambda: 1.0)
    assert spread.news(PROFILE) is not None
    for _ in range(10 * CREDIBLE):
        spread.add(1.0)
    assert spread.news(PROFILE) is not None, "by now it knows the 99th percentile"
    for _ in range(20 * CREDIBLE):
        spread.add(1.0)
    assert spread.news(PROFILE) is None


def test_what_was_long_ago_counts_for_less_and_less():
    spread = taught(KEPT, lambda: 3.0)
    for _ in range(2 * KEPT):
        spread.add(1.0)
    assert spread.at(50.0) == 1.0
    assert spread.at(70.0) == 1.0


@pytest.mark.parametrize("ratio", [0.0, 1e-300, 1e300])
def test_nothing_that_is_observed_breaks_it(ratio):
    assert 0 < taught(CREDIBLE, lambda: ratio).at(99.0) < 200
