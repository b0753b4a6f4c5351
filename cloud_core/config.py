"""What an operator may change about the cloud's own process, and why. Read once, by `__main__`."""

from pathlib import Path

from cloud_core.identity.service import IdentityConfig
from cloud_core.issuer import OPERATOR
from cloud_core.issuers import OidcIssuer
from middle_tier.config import SiteConfig
from middle_tier.register import Issued, Tenant
from protocol.types import Name, Tier


class CloudConfig(SiteConfig):
    """A site like any other, at the top: it has no parent and takes the summaries of sites."""

    site: Name = "cloud"
    tier: Tier = "cloud"

    signing_key: Path | None = None
    """The mesh's private key, for issuing tokens; null: they are issued elsewhere."""

    audit: Path | None = None
    """The audit log; null: what happens is only said in the process's own log."""

    bundle_keys: Path | None = None
    """Keys that sign the bundles' metadata: with them the cloud renews, before they expire, the
    signatures in the first of `bundles`. Null: somebody else does, or nodes stop installing."""

    identity: IdentityConfig | None = None
    """Where enrolment, renewal and revocation find what they sign with; null: this cloud does none
    of them."""

    tenants: tuple[Tenant, ...] = (Tenant(name="operator", scopes=OPERATOR, note="runs this mesh"),)
    """Those that a new mesh begins with; later they are what operators have made of them."""

    tokens: tuple[Issued, ...] = ()
    """Tokens minted beside the mesh, to be listed (and taken back) like those issued by it."""

    oidc: tuple[OidcIssuer, ...] = ()
    """OpenID Connect issuers whose tokens this gate takes; sites take the mesh's own only."""
