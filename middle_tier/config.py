"""What an operator may change about a site, and why. Read once, by `__main__`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from edge_agent.config import AgentConfig, Config, kept_dir
from middle_tier.http.door import loopback
from middle_tier.scheduler.types import Policy
from middle_tier.sight.clones import CLONE_AFTER_S
from protocol.types import Name, Positive, Tier


class SiteConfig(Config):
    """One site's process: gate, router, way to its parent, and usually a node of its own."""

    site: Name
    """Its name. Nodes that name it belong to it; several processes of a site share its queries."""

    tier: Tier = "middle"
    """Where it stands: decides which borders bytes pass, and so what they cost."""

    nats_url: str | None = "nats://127.0.0.1:4222"
    """The site's NATS server. Null: a site of one, whose only node is in this process."""

    nats_credentials: Path | None = None
    """Its NATS credentials file; none on a mesh without identities."""

    nats_ca: Path | None = None
    """The certificate authority that the NATS server's certificate must be signed by. Null: no TLS,
    for loopback."""

    parent: Name | None = None
    """The site that takes what this one cannot serve; null for the topmost."""

    parent_mbps: Positive = 1000.0
    """Bandwidth of the way to the parent, 10^6 bits a second: what large tensors are predicted
    with."""

    accepts_sites: bool | None = None
    """Whether to send queries to sites that tell this one of their capacity; null: when it has no
    parent. A site that does hears one message a second from each of them."""

    host: str = "127.0.0.1"
    """Where the gate listens. Anything but loopback is open to the network, and needs TLS."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Of the gate; 0: one that is free."""

    tls_certificate: Path | None = None
    """Shown to HTTP clients, with its chain, in PEM: then the gate speaks HTTPS alone, TLS 1.2 or
    newer. Read again within seconds when it changes. Null: plain HTTP."""

    tls_key: Path | None = None
    """The certificate's private key, in PEM, without a passphrase."""

    plain_http: bool = False
    """Listen beyond loopback without TLS all the same: tokens and tensors pass in the clear. For a
    gate behind a proxy that ends TLS."""

    keys: Path | None = None
    """The public keys that tokens are checked with: JSON, key id to base64url."""

    registered_only: bool = True
    """Admit only tenants of the mesh's register, and none before it was heard for the first time.
    False: what a token says is all there is to know; for a gate that stands alone."""

    no_auth: bool = False
    """Admit everybody, as one tenant that may do all: for a loopback host only."""

    agent: AgentConfig | None = None
    """The node in this process; null: the site's nodes are elsewhere."""

    trust: Path | None = None
    """The first root of the mesh's bundles: whose signatures count. With it the site mirrors the
    bundles of its parent for its nodes, its own among them. Null: its own node's."""

    bundles: tuple[Path, ...] = ()
    """Repositories on this machine, beside the parent: the cloud's own, or a stick. Verified as
    what the parent sends."""

    update_s: Positive = 5.0
    """Between two looks for newer bundles at the parent."""

    state_dir: Path | None = None
    """Where it keeps what it was told last; null: with its own node's, or in `~/.tiermesh/state`.
    Lost while the uplink is cut, it goes by this file alone until it is told again."""

    desired_domain: Name | None = None
    """The JetStream domain that keeps the mesh's desired state: the hub's, for a site behind a leaf
    node; null: that of its own NATS server."""

    policy: Policy = Policy()
    """Prices, permitted tiers, what to do on a miss: until an operator changes it."""

    summary_s: Positive = 1.0
    """Between two summaries to the parent, and two pings. Lower notices a cut sooner."""

    clone_after_s: Positive = CLONE_AFTER_S
    """For how long a node may be heard as two processes before it is told of, and quarantined: two
    `ping_s` of its nodes, by when each has noticed a connection that is dead. Lower takes a slow
    reconnect for a clone; higher leaves a clone at work for longer."""

    drain_s: Annotated[float, Field(ge=0)] = 5.0
    """Longest time to finish what is under way when told to stop."""

    @property
    def kept_dir(self) -> Path:
        """Where it keeps what must survive a restart."""
        own = self.agent.state_dir if self.agent is not None else kept_dir(self.site)
        return self.state_dir or own

    @property
    def desired_dir(self) -> Path:
        """Where the mirrors of desired state lie."""
        return self.kept_dir / "desired"

    @property
    def usage_file(self) -> Path:
        """Where it is counted what tenants use."""
        return self.kept_dir / "usage.db"

    @property
    def root(self) -> Path | None:
        """The root of trust, the site's or its own node's."""
        own = self.agent.trust if self.agent is not None else None
        return self.trust or own

    @property
    def repositories(self) -> tuple[Path, ...]:
        """Those on this machine."""
        own = self.agent.bundles if self.agent is not None else ()
        return (*self.bundles, *own)

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """The gate's certificate and its key."""
        pair = self.tls_certificate, self.tls_key
        return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])

    @model_validator(mode="after")
    def _reachable(self) -> "SiteConfig":
        local = loopback(self.host)
        if self.no_auth and not local:
            raise ValueError("no_auth is for a loopback host: set host to 127.0.0.1")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS needs both tls_certificate and tls_key")
        if not local and self.tls is None and not self.plain_http:
            raise ValueError(
                "plain HTTP is for a loopback host: give tls_certificate and tls_key (`tiermesh "
                "init` makes them), or say plain_http behind a proxy that ends TLS"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "SiteConfig":
        if not self.no_auth and self.keys is None:
            raise ValueError("a gate needs keys (a file of public keys), or no_auth on loopback")
        if self.nats_url is None and (self.parent is not None or self.agent is None):
            raise ValueError("without nats_url the site has an agent here and no parent")
        if self.agent is not None and self.agent.site != self.site:
            raise ValueError("the agent's site is another: give it this site's name")
        if self.bundles and self.root is None:
            raise ValueError("bundles are loaded when somebody vouches for them: set trust")
        if self.parent == self.site:
            raise ValueError("a site is not its own parent")
        return self
