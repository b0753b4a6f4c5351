import random

from hypothesis import given
from hypothesis import strategies as st

from middle_tier.sight.corrections import LEAST, MOST, OWN_SHARE, corrected


@given(st.floats(LEAST, MOST), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.01, 1))
def test_a_factor_stays_within_bounds(factor, observed_ms, typical_ms, share):
    assert LEAST <= corrected(factor, observed_ms, typical_ms, share) <= MOST


def test_a_node_as_its_profile_says_stays_near_one_under_a_long_tail():
    chance = random.Random(3)  # noqa: S311  # a seeded test
    factor, found = 1.0, []
    for _ in range(2000):
        factor = corrected(factor, 10.0 * chance.lognormvariate(0.0, 0.5), 10.0, OWN_SHARE)
        found.append(factor)
    assert 0.95 < sorted(found)[1000] < 1.05
