import pytest

from middle_tier.scheduler.patience import patience_ms
from middle_tier.scheduler.plan import choose
from middle_tier.scheduler.types import Policy
from tests.middle_tier.fleet import a_demand, a_node, a_view, info


def a_candidate(finish_ms: float):
    view = a_view((a_node(), [info(run_ms=finish_ms)]))
    return choose(a_demand(10**6), view.groups("digits"), Policy(), now=0.0, seed=1).ranked[0]


@pytest.mark.parametrize(
    ("finish_ms", "next_ms", "left_ms", "expected_ms"),
    [
        (10.0, 10.0, 1000.0, 40.0),  # twice the prediction and a grace
        (30.0, 60.0, 110.0, 50.0),  # until the next one has just time enough
        (30.0, 90.0, 100.0, 30.0),  # but not before it could have answered
        (30.0, None, 1000.0, 1000.0),  # nobody else: all the time there is
        (30.0, None, 10.0, 80.0),  # and past the objective, what is fair
    ],
)
def test_patience(finish_ms, next_ms, left_ms, expected_ms):
    assert patience_ms(a_candidate(finish_ms), next_ms, left_ms) == expected_ms
