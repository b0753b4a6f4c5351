"""Pure. The mesh that `tiermesh up` starts, as configurations and programs; starts nothing.

| cloud (gate, router, node cloud-1)         nats-hub
|                                                |
|                          relay middle-cloud, 40 ms round trip
|                                                |
| site-1 (gate, router, node middle-1)       nats-site
|                                                |
|                           relay edge-middle, 2 ms round trip
|                                                |
| edge-1, edge-2 (agents) -----------------------+
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_core.config import CloudConfig
from cloud_core.identity.service import IdentityConfig
from cloud_core.issuer import OPERATOR
from cloud_core.relay import Shape
from cloud_core.relay_control import RelayConfig, RelaysConfig
from cloud_core.up import servers
from cloud_core.up.layout import Layout
from cloud_core.up.processes import Program
from cloud_core.up.servers import Server, Trust, Uplink
from cloud_core.up.state import GateState, RelayState
from edge_agent.config import AgentConfig
from middle_tier.config import SiteConfig
from middle_tier.register import Issued, Tenant
from protocol.types import Price

CLOUD, SITE = "cloud", "site-1"
FOUNDERS = (
    Tenant(name="operator", scopes=OPERATOR, note="runs this mesh"),
    Tenant(name="demo", note="asks the first queries"),
)
PRICES = {
    "edge": Price(watts=7.5, usd_per_kwh=0.15, usd_per_hour=0.002),
    "middle": Price(watts=40.0, usd_per_kwh=0.15, usd_per_hour=0.05),
    "cloud": Price(usd_per_hour=0.79),
}
"""A board such as a Raspberry Pi 4, a small gateway, a rented machine with an accelerator."""
DELAYS_MS = {"edge-middle": 2.0, "middle-cloud": 40.0}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens, on 127.0.0.1."""

    hub: int
    leaf: int
    """Of the hub, for sites' servers."""
    site: int
    edge_middle: int
    middle_cloud: int
    control: int
    """Of the relays."""
    cloud_gate: int
    site_gate: int


@dataclass(frozen=True, slots=True)
class Setting:
    """What a topology is made from."""

    layout: Layout
    ports: Ports
    edges: int
    trust: Trust
    """Whom the servers believe; credentials are where the layout says."""
    python: str
    nats_server: str
    tokens: tuple[Issued, ...] = ()
    """Those that `up` has minted: the operator's and the demo's."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What is to be written, and what is to be run, in the order of starting."""

    servers: Mapping[str, str]
    """nats-server configurations by name."""
    configs: Mapping[str, str]
    """JSON configurations of our own processes by name."""
    programs: tuple[Program, ...]
    gates: tuple[GateState, ...]
    relays: tuple[RelayState, ...]
    nats_url: str
    """The hub's."""
    nodes: frozenset[tuple[str, str]]
    """(site, node): who is expected to answer."""


def edges_of(number: int) -> list[str]:
    """Return the names of so many edge nodes."""
    return [f"edge-{place}" for place in range(1, number + 1)]


def planned(setting: Setting) -> Topology:
    """Return the mesh for this setting."""
    ports = setting.ports
    edges = edges_of(setting.edges)
    agents = [_edge(setting, edge) for edge in edges]
    return Topology(
        servers=_servers(setting),
        configs={
            "relay": _relays(ports).model_dump_json(indent=2),
            CLOUD: _site(setting, CLOUD, nats_url=_local(ports.hub)),
            SITE: _site(setting, SITE, nats_url=_local(ports.site)),
            **{agent.node: agent.model_dump_json(indent=2) for agent in agents},
        },
        programs=_programs(setting, edges),
        gates=(
            GateState(site=CLOUD, url=f"http://127.0.0.1:{ports.cloud_gate}"),
            GateState(site=SITE, url=f"http://127.0.0.1:{ports.site_gate}"),
        ),
        relays=tuple(
            RelayState(name=name, control_url=f"http://127.0.0.1:{ports.control}/relays/{name}")
            for name in DELAYS_MS
        ),
        nats_url=_local(ports.hub),
        nodes=frozenset(
            {(CLOUD, "cloud-1"), (SITE, "middle-1"), *((SITE, edge) for edge in edges)}
        ),
    )


def _servers(setting: Setting) -> dict[str, str]:
    ports, layout = setting.ports, setting.layout

    def server(name: str, port: int, domain: str) -> Server:
        folder = str(layout.streams(f"nats-{name}"))
        return Server(name, f"127.0.0.1:{port}", domain, folder, setting.trust)

    uplink = Uplink(
        f"nats-leaf://127.0.0.1:{ports.middle_cloud}",
        str(layout.credentials(f"leaf-{SITE}")),
        str(layout.credentials(f"resolver-leaf-{SITE}")),
    )
    return {
        "nats-hub": servers.hub(server("hub", ports.hub, "hub"), f"127.0.0.1:{ports.leaf}"),
        "nats-site": servers.site(server(SITE, ports.site, SITE), uplink),
    }


def _local(port: int) -> str:
    return f"nats://127.0.0.1:{port}"


def _relays(ports: Ports) -> RelaysConfig:
    ends = {
        "edge-middle": (ports.edge_middle, ports.site),
        "middle-cloud": (ports.middle_cloud, ports.leaf),
    }
    return RelaysConfig(
        control_port=ports.control,
        relays=tuple(
            RelayConfig(
                name=name, port=near, target_port=far, shape=Shape(delay_ms=DELAYS_MS[name])
            )
            for name, (near, far) in ends.items()
        ),
    )


def _agent(setting: Setting, node: str, site: str, tier: str) -> AgentConfig:
    return AgentConfig.model_validate(
        {
            "node": node,
            "site": site,
            "tier": tier,
            "state_dir": setting.layout.node(node),
            "price": PRICES[tier],
        }
    )


def _edge(setting: Setting, node: str) -> AgentConfig:
    return _agent(setting, node, SITE, "edge").model_copy(
        update={
            "nats_url": _local(setting.ports.edge_middle),
            "nats_credentials": setting.layout.credentials(f"agent-{node}"),
            "trust": setting.layout.bundle_root,
        }
    )


def _site(setting: Setting, site: str, *, nats_url: str) -> str:
    """Return the configuration of a site's own process: gate, router and node."""
    cloud = site == CLOUD
    node, tier = ("cloud-1", "cloud") if cloud else ("middle-1", "middle")
    model = CloudConfig if cloud else SiteConfig
    config = model.model_validate(
        {
            "site": site,
            "tier": tier,
            "nats_url": nats_url,
            "nats_credentials": setting.layout.credentials(
                f"{'cloud' if cloud else 'site'}-{site}"
            ),
            "parent": None if cloud else CLOUD,
            "port": setting.ports.cloud_gate if cloud else setting.ports.site_gate,
            "keys": setting.layout.gate_keys,
            **(_founding(setting) if cloud else {}),
            "agent": _agent(setting, node, site, tier),
            "state_dir": setting.layout.node(node),
            "trust": setting.layout.bundle_root,
            "desired_domain": None if cloud else "hub",
        }
    )
    return config.model_dump_json(indent=2)


def _founding(setting: Setting) -> dict[str, object]:
    """What the cloud's own configuration says besides: tenants, and the keys to their tokens."""
    return {
        "signing_key": setting.layout.signing_key,
        "audit": setting.layout.audit,
        "bundles": (setting.layout.repository,),
        "bundle_keys": setting.layout.bundle_keys,
        "identity": IdentityConfig(
            keys=setting.layout.identity,
            system_credentials=setting.layout.credentials(f"resolver-{CLOUD}"),
            provisioned=setting.layout.provisioned,
        ),
        "tenants": FOUNDERS,
        "tokens": setting.tokens,
    }


def _programs(setting: Setting, edges: Sequence[str]) -> tuple[Program, ...]:
    layout = setting.layout

    def ours(name: str, module: str, tier: str | None = None, site: str | None = None) -> Program:
        command = (setting.python, "-m", module, "--config", str(layout.config(name)))
        return Program(name, command, layout.log(name), tier, site)

    def server(name: str, site: str) -> Program:
        command = (setting.nats_server, "-c", str(layout.nats(name)))
        return Program(name, command, layout.log(name), None, site)

    return (
        server("nats-hub", CLOUD),
        server("nats-site", SITE),
        ours("relay", "cloud_core.relay_control"),
        ours(CLOUD, "cloud_core", "cloud", CLOUD),
        ours(SITE, "middle_tier", "middle", SITE),
        *(ours(edge, "edge_agent", "edge", SITE) for edge in edges),
    )
