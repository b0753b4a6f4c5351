"""A router goes by its policy, and by another from one moment to the next."""

import asyncio

import pytest

from edge_agent.bus.memory import MemoryNetwork
from edge_agent.clock import ManualClock
from middle_tier.scheduler.types import Policy
from protocol.errors import NoCandidateError
from tests.build import a_query, a_want, an_image
from tests.middle_tier.acted import CLOUD, MIDDLE, ActedNode, a_site

IMAGE = bytes(256)


def ask(router, tenant="local", **want):
    query = a_query(want=a_want(**{"latency_ms": 500.0, **want}), tenant=tenant)
    return asyncio.ensure_future(router.answer(query, (IMAGE,)))


def permits(*rules):
    return Policy.model_validate({"permit": rules})


async def test_a_policy_is_swapped_while_queries_come_in():
    nodes = ActedNode("edge-1"), ActedNode("middle-1", tier="middle", price=MIDDLE)
    async with a_site(MemoryNetwork(), ManualClock(), *nodes) as router:
        assert [(await ask(router))[0].tier for _ in range(3)] == ["edge"] * 3
        router.policy = permits({"tenant": "clinic", "tiers": ["middle"]})
        assert (await ask(router, "clinic"))[0].tier == "middle"
        assert (await ask(router, "shop"))[0].tier == "edge"
        router.policy = permits({"tenant": "shop", "tiers": ["middle"]})
        assert (await ask(router, "clinic"))[0].tier == "edge"
        assert (await ask(router, "shop"))[0].tier == "middle"
        router.policy = Policy()
        assert (await ask(router, "clinic"))[0].tier == "edge"


async def test_what_must_not_leave_its_site_is_never_handed_to_the_parent():
    network, clock = MemoryNetwork(), ManualClock()
    cloud = ActedNode("cloud-1", site="cloud", tier="cloud", price=CLOUD)
    edge = ActedNode("edge-1", accuracy=0.5)
    stay = permits({"tenant": "clinic", "leave_site": False})
    async with (
        a_site(network, clock, cloud, site="cloud"),
        a_site(network, clock, edge, parent="cloud", policy=stay) as router,
    ):
        assert (await ask(router, "shop", min_accuracy=0.8))[0].node == "cloud-1"
        with pytest.raises(NoCandidateError):
            await ask(router, "clinic", min_accuracy=0.8)
        assert (await ask(router, "clinic", min_accuracy=0.4))[0].node == "edge-1"
    assert len(cloud.asked) == 1


async def test_what_has_left_its_site_by_mistake_is_run_nowhere():
    network, clock = MemoryNetwork(), ManualClock()
    cloud = ActedNode("cloud-1", site="cloud", tier="cloud", price=CLOUD)
    edge = ActedNode("edge-1", accuracy=0.5)
    async with (
        a_site(
            network, clock, cloud, site="cloud",
            policy=permits({"tenant": "clinic", "leave_site": False}),
        ),
        a_site(network, clock, edge, parent="cloud") as router,
    ):  # fmt: skip
        with pytest.raises(NoCandidateError):
            await ask(router, "clinic", min_accuracy=0.8)
    assert not cloud.asked


async def test_what_is_remembered_of_a_want_holds_for_like_queries_alone():
    async with a_site(MemoryNetwork(), ManualClock(), ActedNode("edge-1")) as router:
        router.policy = permits({"tenant": "clinic", "leave_site": False})
        query = a_query(tenant="shop")
        first = router.demand(query)
        assert router.demand(query.but(id="q-2")) is first
        assert router.demand(query.but(inputs=(an_image(3),))).rows == 3
        assert router.demand(query.but(tiers=("cloud",))).tiers == ("cloud",)
        assert router.demand(query.but(hops=("below",))).hops == ("below",)
        assert router.demand(query.but(tenant="clinic")).permit.leave_site is False
        assert router.demand(query) == first
        router.policy = permits({"tenant": "shop", "leave_site": False})
        assert router.demand(query).permit.leave_site is False
