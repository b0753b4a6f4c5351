"""A query that only a load would have helped causes the load, and is answered as ever meanwhile."""

import asyncio
import json
import logging

import aiohttp
import numpy as np
import pytest

from edge_agent.bundles.store import Held, Store
from edge_agent.bus.memory import MemoryNetwork
from edge_agent.clock import ManualClock, settle
from edge_agent.config import AgentConfig
from middle_tier import node
from middle_tier.config import SiteConfig
from middle_tier.routing.orders import AGAIN_S, is_due
from middle_tier.scheduler.plan import explain
from middle_tier.scheduler.types import Policy
from middle_tier.scheduler.warmth import worth_loading
from protocol.adverts import Loaded
from protocol.codec import Frame
from protocol.errors import NoCandidateError, UnreachableError
from protocol.messages import Done, Order
from protocol.types import Price
from tests.build import a_profile, a_query, a_task, a_variant, a_want
from tests.middle_tier.acted import MIDDLE, ActedNode, a_site
from tests.middle_tier.fleet import a_demand, a_node, a_summary, a_view, dollars_an_hour, info

IMAGE = bytes(256)
LOAD_MS = 2500.0


class ColdNode(ActedNode):
    """Holds `cold` as well, not loaded; keeps the orders that it gets and says `done` to them."""

    def __init__(
        self, name="edge-1", *, cold="big-table", accuracy=0.99, load_ms=LOAD_MS, **changes
    ):
        super().__init__(name, **changes)
        self.orders = []
        self.done = Done(ok=True)
        profile = a_profile(self.run_ms, load_ms=load_ms)
        first = self.description.variants[0]
        update = {"variant": cold, "accuracy": accuracy, "profile": profile}
        variants = (*self.description.variants, first.model_copy(update=update))
        self.description = self.description.model_copy(update={"variants": variants})

    def _heard(self, delivery):
        if not isinstance(delivery.frame.message, Order):
            super()._heard(delivery)
            return
        self.orders.append((delivery.subject, delivery.frame.message.variant))
        self._bus.publish(delivery.reply, Frame(self.done))


async def ask(router, **want):
    query = a_query(want=a_want(**{"latency_ms": 100.0, **want}), deadline_ms=1000.0)
    answered = await asyncio.ensure_future(router.answer(query, (IMAGE,)))
    await settle()
    return answered


async def miss(router, **want):
    with pytest.raises(NoCandidateError) as caught:
        await ask(router, **{"variant": "big-table", **want})
    await settle()
    return caught.value


async def test_a_miss_of_a_cold_variant_orders_its_load_and_says_so():
    edge = ColdNode()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        error = await miss(router)
    assert edge.orders == [("tm.v1.ctl.site-1.edge-1.load", "big-table")]
    assert "big-table is being loaded" in error.hint
    assert error.headers() == {"Retry-After": "3"}
    assert not edge.asked


async def test_more_misses_order_nothing_for_five_seconds_and_are_told_the_same():
    edge, clock = ColdNode(), ManualClock()
    async with a_site(MemoryNetwork(), clock, edge) as router:
        for _ in range(3):
            assert "is being loaded" in (await miss(router)).hint
        assert len(edge.orders) == 1
        await clock.advance(AGAIN_S)
        await miss(router)
    assert len(edge.orders) == 2


@pytest.mark.parametrize(("last", "due"), [(None, True), (0.0, True), (0.1, False), (5.0, False)])
def test_an_order_is_due_once_in_five_seconds(last, due):
    assert is_due(last, AGAIN_S) is due


async def test_a_want_for_accuracy_orders_the_variant_that_has_it():
    edge = ColdNode()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        await miss(router, variant=None, min_accuracy=0.95)
    assert [variant for _, variant in edge.orders] == ["big-table"]


async def test_a_want_that_another_variant_meets_orders_nothing():
    edge = ColdNode()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        answer, _ = await ask(router)
    assert (answer.variant, edge.orders) == ("mlp-table", [])


async def test_a_want_that_it_would_not_meet_warm_either_orders_nothing():
    edge = ColdNode(run_ms=200.0)
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        assert "loaded" not in (await miss(router)).hint
    assert edge.orders == []


async def test_a_dry_run_orders_nothing():
    edge = ColdNode()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:
        query = a_query(want=a_want(variant="big-table", latency_ms=100.0))
        assert not router.plan(router.demand(query)).ranked
        await settle()
    assert edge.orders == []


async def test_the_parent_answers_while_it_is_loaded():
    network, clock = MemoryNetwork(), ManualClock()
    edge, far = ColdNode(), ActedNode("cloud-1", site="cloud", tier="cloud", accuracy=0.99)
    async with (
        a_site(network, clock, far, site="cloud"),
        a_site(network, clock, edge, parent="cloud") as router,
    ):
        answer, _ = await ask(router, min_accuracy=0.95)
    assert (answer.node, len(edge.orders)) == ("cloud-1", 1)


async def test_with_on_miss_fastest_the_late_answer_stands_and_its_own_ask_loads():
    edge, policy = ColdNode(load_ms=500.0), Policy(on_miss="fastest")
    async with a_site(MemoryNetwork(), ManualClock(), edge, policy=policy) as router:
        answer, _ = await ask(router, variant="big-table")
    assert (answer.variant, edge.orders) == ("big-table", [])


async def test_a_load_that_outlasts_the_deadline_is_ordered_as_no_ask_may_cause_it():
    edge, policy = ColdNode(), Policy(on_miss="fastest")
    async with a_site(MemoryNetwork(), ManualClock(), edge, policy=policy) as router:
        await ask(router, variant="big-table")
    assert [variant for _, variant in edge.orders] == ["big-table"]


async def test_a_late_ask_goes_to_what_is_worth_loading_not_to_what_runs_fastest():
    edge, policy = ColdNode(load_ms=500.0), Policy(on_miss="fastest")
    best = info("best-table", 50.0, accuracy=0.995, load_ms=510.0)
    edge.description = edge.description.model_copy(
        update={"variants": (*edge.description.variants[1:], best)}
    )
    edge.capacity = edge.capacity.model_copy(update={"loaded": ()})
    async with a_site(MemoryNetwork(), ManualClock(), edge, policy=policy) as router:
        answer, _ = await ask(router, min_accuracy=0.95)
    assert answer.variant == "best-table"


async def test_a_refused_order_is_logged_and_the_next_node_is_told(caplog):
    edge, middle = ColdNode(), ColdNode("middle-1", tier="middle", price=MIDDLE)
    edge.done = Done(ok=False, detail="it does not fit beside what is in use")
    async with a_site(MemoryNetwork(), ManualClock(), edge, middle) as router:
        await miss(router)
        assert "edge-1 does not load big-table: it does not fit" in caplog.text
        assert len(edge.orders) == 1
        assert not middle.orders
        await miss(router)
        await miss(router)
    assert len(edge.orders) == len(middle.orders) == 1


async def test_an_order_that_cannot_be_sent_is_logged_and_not_promised(caplog, monkeypatch):
    edge = ColdNode()
    async with a_site(MemoryNetwork(), ManualClock(), edge) as router:

        def cut(*_):
            raise UnreachableError("not connected")

        monkeypatch.setattr(router.bus, "publish", cut)
        with caplog.at_level(logging.WARNING):
            error = await miss(router)
    assert "cannot have edge-1 load big-table" in caplog.text
    assert "loaded" not in error.hint


def worth(view, *, refusers=(), **want):
    demand = a_demand(100.0, **want)
    return worth_loading(
        demand, view.groups("digits"), Policy(), now=0.0, seed=1, refusers=refusers
    )


SLOW_TO_LOAD = info("mlp", 1.0, load_ms=1000.0)


def test_the_cheapest_node_is_worth_it_then_the_fastest():
    cheap, dear = dollars_an_hour(0.01), dollars_an_hour(1.0)
    view = a_view(
        (a_node("dear", loaded=(), hardware="t4", price=dear), (info("mlp", 0.1, load_ms=900.0),)),
        (a_node("busy", loaded=(), price=cheap, queue_ms=50.0), (SLOW_TO_LOAD,)),
        (a_node("cheap", loaded=(), price=cheap), (SLOW_TO_LOAD,)),
    )
    assert worth(view).node == "cheap"
    assert worth(view, refusers=[("mlp", "site-1", "cheap")]).node == "busy"
    both = [("mlp", "site-1", "cheap"), ("mlp", "site-1", "busy")]
    assert worth(view, refusers=both).node == "dear"
    assert worth(view, max_cost_usd=0.0) is None


QUICK_MEAN = info("quick", 1.0, load_ms=1000.0, accuracy=0.7)
SLOW_GOOD = info("good", 50.0, load_ms=1000.0, accuracy=0.9)


def test_where_nothing_is_warm_the_most_accurate_that_makes_it_comes_first():
    both = QUICK_MEAN, SLOW_GOOD
    assert worth(a_view((a_node(loaded=()), both)), min_accuracy=0.6).variant == "good"
    held = a_view((a_node(loaded=("quick",)), both), (a_node("edge-2", loaded=()), both))
    busy = a_node(loaded=("quick",), queue_ms=500.0, sequence=2)
    held.advert(busy, 0.0)
    assert worth(held, min_accuracy=0.6).variant == "quick"


def test_a_node_that_loads_already_is_told_last():
    both = QUICK_MEAN, SLOW_GOOD
    dear = a_node("dear", loaded=(), hardware="t4", price=dollars_an_hour(1.0))
    loads = a_node(loaded=(), price=dollars_an_hour(0.01))
    view = a_view((loads, both), (dear, both))
    assert worth(view, min_accuracy=0.6).node == "edge-1"
    on_its_way = (Loaded(variant="quick", state="loading"),)
    view.advert(loads.model_copy(update={"loaded": on_its_way, "sequence": 2}), 0.0)
    assert worth(view, min_accuracy=0.8).node == "dear"
    assert worth(view, min_accuracy=0.6).variant == "quick"


def test_loads_of_one_node_are_predicted_to_come_one_after_the_other():
    view = a_view((a_node(loaded=()), (QUICK_MEAN, SLOW_GOOD, SLOW_TO_LOAD)))
    on_its_way = tuple(Loaded(variant=name, state="loading") for name in ("quick", "good"))
    view.advert(a_node(loaded=()).model_copy(update={"loaded": on_its_way, "sequence": 2}), 0.0)
    demand = a_demand(9000.0)
    plan = explain(demand, view.groups("digits"), Policy(), now=0.25, seed=1)
    left_ms = {each.variant: each.cold_ms for each in plan.ranked}
    assert left_ms == {"quick": 750.0, "good": 1750.0, "mlp": 2750.0}


def test_nothing_is_worth_it_when_a_warm_one_is_in_time():
    view = a_view((a_node("cold", loaded=()), (SLOW_TO_LOAD,)))
    assert worth(view).node == "cold"
    view = a_view((a_node("cold", loaded=()), (SLOW_TO_LOAD,)), (a_node("warm"), (SLOW_TO_LOAD,)))
    assert worth(view) is None


def test_another_sites_nodes_are_not_ordered_about():
    view = a_view((a_node("slow", loaded=()), (info("mlp", 500.0),)))
    cold = a_summary().offers[0].model_copy(update={"warm": False, "info": SLOW_TO_LOAD})
    view.summary(a_summary(offers=(cold,)), 0.0)
    assert worth(view) is None


async def test_a_real_agent_loads_what_was_missed_and_then_answers(tmp_path):
    image = np.zeros((1, 8, 8), np.float32)
    data = json.dumps({"runs": {"1": [0.1] * 5}, "outputs": {"scores": [10]}}).encode()
    profile = a_profile(0.1, load_ms=60_000.0)  # what its maker says; in fact it takes none
    store = Store()
    store.add(Held(a_variant("mlp-table", data, profile=profile), a_task(), folder=None), data)
    own = AgentConfig(
        node="own", site="alone", tier="middle", nats_url="nats://127.0.0.1:1",
        state_dir=tmp_path, price=Price(usd_per_hour=0.01), measure_s=0.0, period_s=0.2,
    )  # fmt: skip
    config = SiteConfig(site="alone", nats_url=None, no_auth=True, port=0, agent=own)
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8]}
    body = {
        "inputs": [{**tensor, "data": image.ravel().tolist()}],
        "parameters": {"latency_ms": 5000.0, "variant": "mlp-table"},
    }

    async with node.running(config, store=store) as site, aiohttp.ClientSession() as http:
        url = f"{site.url}/v2/models/digits/infer"
        async with http.post(url, json=body) as response:
            refused = await response.json()
        assert response.status == 503, refused
        assert "mlp-table is being loaded" in refused["hint"]
        assert int(response.headers["Retry-After"]) == 60
        async with asyncio.timeout(20):
            while response.status != 200:
                await asyncio.sleep(0.02)
                async with http.post(url, json=body) as response:
                    answer = await response.json()
    assert answer["parameters"]["variant"] == "mlp-table"
