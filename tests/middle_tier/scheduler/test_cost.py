import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from middle_tier.http.explained import explained
from middle_tier.scheduler.cost import best_first, usd_per_byte
from middle_tier.scheduler.plan import explain
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from protocol.types import Price
from tests.middle_tier.fleet import a_demand, a_node, a_summary, a_view, an_offer, info

threes = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 1000)), max_size=200
)


@given(threes)
def test_best_first_is_every_place_once_in_order_of_cost_and_then_as_said(found):
    cost = np.array([float(c) for c, _, _ in found])
    levels = list(best_first(cost.copy(), np.arange(len(cost)), lambda at: found[at][1:]))
    assert all((cost[level] == least).all() for least, level in levels)
    assert len({least for least, _ in levels}) == len(levels)
    places = [place for _, level in levels for place in level]
    assert sorted(places) == list(range(len(found)))
    assert [found[place] for place in places] == sorted(found)


def test_bytes_pay_at_each_border_between_here_and_there():
    policy = Policy(usd_per_gb={"edge-middle": 1.0, "middle-cloud": 10.0})
    assert (usd_per_byte(policy, "middle") * 1e9).tolist() == [1.0, 0.0, 10.0]
    assert (usd_per_byte(policy, "cloud") * 1e9).tolist() == [11.0, 10.0, 0.0]


def lines(view, policy):
    """What `plan` says of each group, by hardware class."""
    demand = a_demand()
    plan = explain(demand, view.groups("digits"), policy, now=0.0, seed=1)
    document = explained(demand.want, plan)
    return {line["hardware"]: line for line in (*document["ranked"], *document["rejected"])}


def test_energy_and_rent_of_a_run_are_told_apart():
    price = Price(watts=10.0, usd_per_kwh=0.3, usd_per_hour=0.001)
    view = a_view((a_node("n-1", hardware="pi", price=price), (info(),)))
    line = lines(view, Policy())["pi"]
    assert line["energy_usd"] == pytest.approx(0.75 * line["busy_usd"])
    assert line["energy_usd"] + line["rent_usd"] == pytest.approx(line["busy_usd"])
    rented = Policy.model_validate({"prices": [{"hardware": "pi", "usd_per_hour": 1.0}]})
    line = lines(view, rented)["pi"]
    assert (line["energy_usd"], line["rent_usd"]) == (0.0, line["busy_usd"])


def test_of_another_site_only_the_sum_is_known():
    view = View("site-1")
    view.summary(a_summary("site-2", offers=(an_offer(hardware="far"),)), 0.0)
    line = lines(view, Policy())["far"]
    assert (line["energy_usd"], line["rent_usd"]) == (None, None)
    assert line["busy_usd"] > 0.0
