"""A whole site in one process: real agents on replayed latencies, real HTTP, a real NATS server."""

import asyncio
import json

import aiohttp
import numpy as np
import pytest
from pydantic import ValidationError

from edge_agent import agent
from edge_agent.bundles.store import Held, Store
from edge_agent.bus.nats import connecting
from edge_agent.clock import SystemClock
from edge_agent.config import AgentConfig
from edge_agent.profiler import Profiles
from middle_tier import node
from middle_tier.config import SiteConfig
from protocol.errors import NoCandidateError
from protocol.types import Price
from tests.build import a_query, a_task, a_variant, a_want

IMAGE = np.zeros((1, 8, 8), np.float32)


def a_store(*variants):
    store = Store()
    task = a_task()
    for variant, accuracy in variants or (("mlp-table", 0.9),):
        table = {"runs": {"1": [0.1] * 5, "32": [0.2] * 5}, "outputs": {"scores": [10]}}
        data = json.dumps(table).encode()
        made = a_variant(variant, data, accuracy=accuracy)
        store.add(Held(made, task, folder=None), data)
    return store


def an_agent(tmp_path, name, site, nats_url="nats://127.0.0.1:1", **changes):
    fields = {"price": Price(usd_per_hour=0.01), "measure_s": 0.0, "period_s": 0.2, "warm": ("*",)}
    return AgentConfig(
        node=name, site=site, nats_url=nats_url, state_dir=tmp_path / name, **{**fields, **changes}
    )


def a_config(tmp_path, site, nats_url, **changes):
    own = an_agent(tmp_path, f"{site}-own", site, tier=changes.get("tier", "middle"))
    return SiteConfig(
        **{"site": site, "nats_url": nats_url, "no_auth": True, "port": 0, "agent": own, **changes}
    )


async def until(known):
    async with asyncio.timeout(20):
        while not known():  # noqa: ASYNC110  # NATS and threads have no event of ours
            await asyncio.sleep(0.01)


def serves(site):
    return lambda: site.view.nodes(site.router.clock.now()) and site.view.tasks


def ask(site, **want):
    query = a_query(want=a_want(**{"latency_ms": 5000.0, **want}), deadline_ms=10_000.0)
    return site.router.answer(query, (memoryview(IMAGE.tobytes()),))


async def test_a_site_of_one_answers_over_http(tmp_path):
    config = a_config(tmp_path, "alone", None)
    body = {
        "inputs": [
            {
                "name": "image",
                "datatype": "FP32",
                "shape": [1, 8, 8],
                "data": IMAGE.ravel().tolist(),
            }
        ]
    }
    async with node.running(config, store=a_store()) as site, aiohttp.ClientSession() as http:
        await until(serves(site))
        async with http.post(f"{site.url}/v2/models/digits/infer", json=body) as response:
            answer = await response.json()
    assert response.status == 200, answer
    assert answer["parameters"]["node"] == "alone-own"
    assert answer["outputs"][0]["shape"] == [1, 10]


async def test_the_own_node_is_known_before_the_gate_opens(tmp_path):
    own = an_agent(tmp_path, "own", "alone", tier="middle", period_s=60.0)
    config = a_config(tmp_path, "alone", None, agent=own)
    async with node.running(config, store=a_store()) as site:
        answer, _ = await ask(site)
    assert answer.node == "own"


async def test_the_own_node_serves_when_nats_is_gone_and_the_uplink_is_cut(tmp_path, own_nats):
    config = a_config(tmp_path, "lonely", own_nats.url, parent="cloud")
    async with node.running(config, store=a_store()) as site:
        await until(serves(site))
        own_nats.stop()
        await until(lambda: not site.router.bus.connected)
        assert site.router.parent.cut
        answer, _ = await ask(site)
        assert answer.node == "lonely-own"
        with pytest.raises(NoCandidateError) as caught:
            await ask(site, min_accuracy=0.99)
        assert "the way to cloud is cut" in caught.value.rejected


async def test_a_query_enters_at_the_site_or_at_the_cloud_and_is_answered_where_it_should(
    tmp_path, nats_url
):
    small, big = a_store(("small-table", 0.9)), a_store(("big-table", 0.99))
    dear = an_agent(tmp_path, "hub-own", "hub", price=Price(usd_per_hour=1.0), tier="cloud")
    hub = a_config(tmp_path, "hub", nats_url, tier="cloud", agent=dear)
    branch = a_config(tmp_path, "branch", nats_url, parent="hub", summary_s=0.1)
    async with (
        node.running(hub, store=big) as cloud,
        node.running(branch, store=small) as site,
    ):
        await until(serves(site))
        await until(lambda: cloud.view.sites(0.0) and len(cloud.view.variants("digits")) == 2)
        up, _ = await ask(site, variant="big-table")  # each is where no other one is: a late
        down, _ = await ask(cloud, variant="small-table")  # answer would have others asked as well
    assert (up.site, up.node, up.variant) == ("hub", "hub-own", "big-table")
    assert (down.site, down.node, down.variant) == ("branch", "branch-own", "small-table")


async def test_another_agent_of_the_site_is_reached_over_nats(tmp_path, nats_url):
    config = a_config(tmp_path, "wide", nats_url)
    far = a_store(("far-table", 0.9))
    edge = an_agent(tmp_path, "wide-edge", "wide", nats_url, price=Price(), tier="edge")
    async with (
        node.running(config, store=a_store()) as site,
        connecting(nats_url, name="edge") as bus,
        agent.running(edge, bus, SystemClock(), far, profiles=Profiles(edge.state_dir)),
    ):
        await until(lambda: len(site.view.variants("digits")) == 2)
        assert (await ask(site, variant="far-table"))[0].node == "wide-edge"


async def test_a_site_that_stops_finishes_what_is_under_way(tmp_path, nats_url):
    config = a_config(tmp_path, "brief", nats_url)
    async with node.running(config, store=a_store()) as site:
        await until(serves(site))
        queries = [asyncio.ensure_future(ask(site)) for _ in range(50)]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*queries)
    assert {answer.node for answer, _ in answers} == {"brief-own"}
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.ClientSession() as http, http.get(f"{site.url}/healthz"):
            pass


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"no_auth": True, "host": "0.0.0.0"}, "loopback"),  # noqa: S104  # what is refused
        ({}, "keys"),
        ({"no_auth": True, "nats_url": None}, "nats_url"),
        ({"no_auth": True, "parent": "s"}, "its own parent"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        SiteConfig(site="s", **changes)
