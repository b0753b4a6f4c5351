"""`tiermesh init`: a folder for each machine of a mesh, with keys, credentials and configuration.

Run again it keeps what there is, adds sites, and renews certificates that end soon. Configurations
of processes are plain: prices, nodes and gates are the operator's to add.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud_core.config import CloudConfig
from cloud_core.identity import ca
from cloud_core.identity.authority import Authority, Holder
from cloud_core.identity.provisioned import write_provisioned
from cloud_core.identity.service import IdentityConfig
from cloud_core.issuer import OPERATOR, Grant, SigningKey, write_secret
from cloud_core.registry.keys import Keyring
from cloud_core.up import servers, signed, tokens
from cloud_core.up.identities import trust_of
from cloud_core.up.layout import Layout
from cloud_core.up.servers import Server, Tls, Uplink
from edge_agent.bundles.believed import Rights
from middle_tier.config import SiteConfig
from protocol.errors import ConflictError
from protocol.names import check_name

CLOUD, HUB = "cloud", "hub"
TAKEN = (CLOUD, HUB, "identity", "ca", "keys", "tokens", "device")
ROOT = "1.root.json"
"""The first root of the bundles' signatures: every machine is given it."""
GATE = "gate"
"""The certificate of a machine's gate, apart from its NATS server's: other programs read it."""
ENROLS = ("agent", "bootstrap")
"""The roles whose signing keys the cloud needs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The mesh that is wanted."""

    folder: Path
    hub: str
    """Host name or address of the cloud's NATS server, as sites and the cloud reach it."""
    sites: Mapping[str, str]
    """Host of each site's NATS server, by the site's name."""
    etc: str = "/etc/tiermesh"
    """Where a machine's folder will lie on it."""
    data: str = "/var/lib/tiermesh"
    listen: str = "0.0.0.0"  # noqa: S104  # a server for other machines
    port: int = 4222
    leaf_port: int = 7422
    ca_certificate: Path | None = None
    ca_key: Path | None = None
    """The operator's own authority; None: one is made."""


def founded(plan: Plan, now: float) -> tuple[str, ...]:
    """Write everything; return the machines' folders, the hub's first."""
    for site in plan.sites:
        if check_name(site, "site") in TAKEN:
            raise ConflictError(
                f"a site cannot be called {site}", "that folder is for other things"
            )
    folder = plan.folder
    keys = Authority.kept(folder / "identity", now)
    authority = ca.Authority.kept(
        plan.ca_certificate or folder / "ca" / "ca.crt",
        plan.ca_key or folder / "ca" / "ca.key",
        now,
    )
    signing = SigningKey.kept(folder / "keys" / "signing.pem")
    _operator(folder, signing, now)
    root = _bundles(folder, now)
    for name, host in {HUB: plan.hub, **plan.sites}.items():
        at = folder / name
        for what in ("server", GATE):
            authority.server(host, at / "tls" / f"{what}.crt", at / "tls" / f"{what}.key", now)
        write_secret(at / "ca.crt", authority.pem())
        write_secret(at / "keys" / "gate.json", signing.gate_keys())
        write_secret(at / ROOT, root)
    _hub(plan, keys, now)
    for site, host in plan.sites.items():
        _site(plan, keys, site, host, now=now)
    write_secret(folder / "device" / "ca.crt", authority.pem())
    write_secret(folder / "device" / ROOT, root)
    return (HUB, *plan.sites)


def _bundles(folder: Path, now: float) -> str:
    """Make the repository of bundles at the hub, its root key apart; return its first root."""
    layout = Layout(folder / HUB)
    keys = Keyring(layout.bundle_keys, offline=folder / "keys" / "root")
    made = signed.repository(layout, lambda: now, keys=keys)
    if not made.store.exists:
        made.create()
        made.add_publisher(signed.LOCAL, Rights(code=True))
    return made.store.first_root().decode()


def _operator(folder: Path, signing: SigningKey, now: float) -> None:
    path = folder / "tokens" / "operator"
    if not path.exists():
        grant = Grant("operator", OPERATOR, tokens.LIFETIME_S)
        token = signing.mint(grant, now=now, token_id=secrets.token_hex(16))
        write_secret(path, token + "\n")


def _hub(plan: Plan, keys: Authority, now: float) -> None:
    at = plan.folder / HUB
    for role in ("cloud", "resolver"):
        holder = Holder(role, CLOUD, CLOUD, tier="cloud", parent=CLOUD)
        keys.credentials(holder, at / "credentials" / f"{role}.creds", now=now)
    leaves = f"{plan.listen}:{plan.leaf_port}"
    write_secret(at / "nats.conf", servers.hub(_server(plan, keys, HUB), leaves))
    signs = ("accounts.json", "operator.jwt", "signing.nk", *(f"roles/{r}.nk" for r in ENROLS))
    for name in signs:
        write_secret(at / "identity" / name, (keys.folder / name).read_text())
    write_provisioned(at / "identity" / "provisioned.json", ())
    write_secret(at / "keys" / "signing.pem", (plan.folder / "keys" / "signing.pem").read_text())
    _configured(at / "cloud.json", CloudConfig, _cloud(plan))


def in_url(host: str) -> str:
    """Pure. A host as URLs write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _cloud(plan: Plan) -> dict[str, object]:
    token = (plan.folder / "tokens" / "operator").read_text().strip()
    return {
        "site": CLOUD, "tier": "cloud",
        "nats_url": f"tls://{in_url(plan.hub)}:{plan.port}",
        "nats_credentials": f"{plan.etc}/credentials/cloud.creds",
        "nats_ca": f"{plan.etc}/ca.crt",
        "keys": f"{plan.etc}/keys/gate.json",
        "signing_key": f"{plan.etc}/keys/signing.pem",
        **_gate(plan),
        "audit": f"{plan.data}/audit/log.jsonl",
        "state_dir": f"{plan.data}/cloud",
        "trust": f"{plan.etc}/{ROOT}",
        "bundles": (f"{plan.etc}/repository",),
        "bundle_keys": f"{plan.etc}/keys/bundles",
        "identity": IdentityConfig(
            keys=Path(plan.etc) / "identity",
            system_credentials=Path(plan.etc) / "credentials" / "resolver.creds",
            provisioned=Path(plan.etc) / "identity" / "provisioned.json",
        ),
        "tokens": (tokens.described(token),),
    }  # fmt: skip


def _site(plan: Plan, keys: Authority, site: str, host: str, *, now: float) -> None:
    at = plan.folder / site
    for role in ("site", "leaf", "resolver-leaf"):
        holder = Holder(role, site, site, tier="middle", parent=CLOUD)
        keys.credentials(holder, at / "credentials" / f"{role}.creds", now=now)
    uplink = Uplink(
        f"tls://{in_url(plan.hub)}:{plan.leaf_port}",
        f"{plan.etc}/credentials/leaf.creds",
        f"{plan.etc}/credentials/resolver-leaf.creds",
    )
    write_secret(at / "nats.conf", servers.site(_server(plan, keys, site), uplink))
    said = {
        "site": site, "tier": "middle", "parent": CLOUD,
        "nats_url": f"tls://{in_url(host)}:{plan.port}",
        "nats_credentials": f"{plan.etc}/credentials/site.creds",
        "nats_ca": f"{plan.etc}/ca.crt",
        "keys": f"{plan.etc}/keys/gate.json",
        **_gate(plan),
        "desired_domain": HUB,
        "state_dir": f"{plan.data}/site",
        "trust": f"{plan.etc}/{ROOT}",
    }  # fmt: skip
    _configured(at / "site.json", SiteConfig, said)


def _gate(plan: Plan) -> dict[str, object]:
    """Where callers come in: from other machines, so over TLS."""
    return {
        "host": plan.listen,
        "tls_certificate": f"{plan.etc}/tls/{GATE}.crt",
        "tls_key": f"{plan.etc}/tls/{GATE}.key",
    }


def _server(plan: Plan, keys: Authority, name: str) -> Server:
    tls = Tls(f"{plan.etc}/tls/server.crt", f"{plan.etc}/tls/server.key", f"{plan.etc}/ca.crt")
    listen, folder = f"{plan.listen}:{plan.port}", f"{plan.data}/nats"
    return Server(name, listen, name, folder, trust_of(keys), tls)


def _configured(
    path: Path, model: type[CloudConfig | SiteConfig], said: Mapping[str, object]
) -> None:
    """Write a configuration that its process takes; one that is there is the operator's by now."""
    if path.exists():
        return
    config = model.model_validate(dict(said))
    document = json.loads(config.model_dump_json(exclude_unset=True))
    write_secret(path, json.dumps(document, indent=2) + "\n")
