"""The mesh of `up`, as configurations: who connects to whom, and through which relay."""

import json
from pathlib import Path

from cloud_core.config import CloudConfig
from cloud_core.relay_control import RelaysConfig
from cloud_core.up.layout import Layout
from cloud_core.up.ready import untold, usable
from cloud_core.up.servers import Trust
from cloud_core.up.topology import Ports, Setting, Topology, planned
from edge_agent.config import AgentConfig
from middle_tier.config import SiteConfig

PORTS = Ports(
    hub=1, leaf=2, site=3, edge_middle=4, middle_cloud=5, control=6, cloud_gate=7, site_gate=8
)


def a_topology(edges: int = 2) -> Topology:
    return planned(
        Setting(
            layout=Layout(Path("/mesh")), ports=PORTS, edges=edges,
            trust=Trust("operator-jwt", "AMESH", "ASYS", {"AMESH": "jwt"}),
            python="/bin/python", nats_server="/bin/nats-server",
        )
    )  # fmt: skip


def test_each_configuration_is_one_that_its_process_takes():
    configs = a_topology().configs
    models = {
        "relay": RelaysConfig, "cloud": CloudConfig, "site-1": SiteConfig,
        "edge-1": AgentConfig, "edge-2": AgentConfig,
    }  # fmt: skip
    assert set(configs) == set(models)
    for name, model in models.items():
        model.model_validate(json.loads(configs[name]))


def test_the_edge_reaches_its_site_and_the_site_the_hub_through_a_relay():
    topology = a_topology()
    relays = {r.name: r for r in RelaysConfig.model_validate_json(topology.configs["relay"]).relays}
    edge, middle = relays["edge-middle"], relays["middle-cloud"]
    assert (edge.port, edge.target_port, edge.shape.delay_ms) == (4, 3, 2)
    assert (middle.port, middle.target_port, middle.shape.delay_ms) == (5, 2, 40)
    agent = AgentConfig.model_validate_json(topology.configs["edge-1"])
    assert agent.nats_url == "nats://127.0.0.1:4"
    assert '"nats-leaf://127.0.0.1:5"' in topology.servers["nats-site"]


def test_everybody_has_credentials_of_its_own():
    configs = [json.loads(text) for name, text in a_topology().configs.items() if name != "relay"]
    files = {config["nats_credentials"] for config in configs}
    assert len(files) == len(configs)
    assert not [path for path in files if not path.startswith("/mesh/credentials/")]


def test_every_tier_has_its_own_price_and_the_edge_is_cheapest():
    configs = a_topology().configs
    site = SiteConfig.model_validate_json(configs["site-1"])
    cloud = CloudConfig.model_validate_json(configs["cloud"])
    edge = AgentConfig.model_validate_json(configs["edge-1"])
    prices = [agent.price.usd_per_busy_ms for agent in (edge, site.agent, cloud.agent)]
    assert prices == sorted(prices)
    assert len(set(prices)) == 3


def test_the_servers_start_first_and_the_agents_last():
    names = [program.name for program in a_topology(edges=3).programs]
    assert names[:3] == ["nats-hub", "nats-site", "relay"]
    assert names[-3:] == ["edge-1", "edge-2", "edge-3"]


def test_who_is_expected_to_answer():
    assert a_topology(edges=1).nodes == {
        ("cloud", "cloud-1"), ("site-1", "middle-1"), ("site-1", "edge-1"),
    }  # fmt: skip


def test_a_node_answers_when_it_is_alive_and_holds_something():
    def a_node(name, health="alive", variants=("v",)):
        return {
            "advert": {"site": "s", "node": name}, "health": health, "variants": list(variants),
        }  # fmt: skip

    nodes = [a_node("a"), a_node("b", health="gone"), a_node("c", variants=())]
    assert usable([{"nodes": nodes}, {"nodes": []}]) == {("s", "a")}


def test_nodes_are_untold_while_the_front_counts_fewer_at_their_site():
    expected = {("cloud", "c"), ("s", "a"), ("s", "b")}
    told = lambda **nodes: {"sites": [{"site": "s", "nodes": nodes}]}  # noqa: E731  # short
    assert untold(expected, "cloud", {"sites": []}) == {("s", "a"), ("s", "b")}
    assert untold(expected, "cloud", told(edge=1)) == {("s", "a"), ("s", "b")}
    assert untold(expected, "cloud", told(edge=1, middle=1)) == set()
