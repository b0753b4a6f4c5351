import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from middle_tier.scheduler.cost import best_first, usd_per_byte
from middle_tier.scheduler.types import Policy

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), max_size=200)


@given(pairs)
def test_best_first_is_every_place_once_in_order_of_cost_and_then_finish(found):
    cost = np.array([float(c) for c, _ in found])
    finish = np.array([float(f) for _, f in found])
    levels = list(best_first(cost.copy(), finish))
    assert all((cost[level] == least).all() for least, level in levels)
    assert len({least for least, _ in levels}) == len(levels)
    places = [place for _, level in levels for place in level]
    assert sorted(places) == list(range(len(found)))
    assert [found[place] for place in places] == sorted(found)


def test_bytes_pay_at_each_border_between_here_and_there():
    policy = Policy(usd_per_gb={"edge-middle": 1.0, "middle-cloud": 10.0})
    assert (usd_per_byte(policy, "middle") * 1e9).tolist() == [1.0, 0.0, 10.0]
    assert (usd_per_byte(policy, "cloud") * 1e9).tolist() == [11.0, 10.0, 0.0]
