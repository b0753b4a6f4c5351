"""OpenID Connect issuers that are believed, and which tenant a token of theirs is."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from edge_agent.config import Config
from middle_tier.register import TENANT_SCOPES
from protocol.errors import ForbiddenError, UnauthenticatedError
from protocol.tokens import AUDIENCE, ISSUER, LEEWAY_S, Claims, Scope
from protocol.types import Name

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Asymmetric, all of them, and fixed: no token and no document adds one."""

MAX_LIFETIME_S = 86_400
"""No token counts for longer, whatever it says: it cannot be taken back one by one."""


class OidcIssuer(Config):
    """One issuer, and who its people are here."""

    issuer: str
    """Exactly as its tokens say it. HTTPS, but on loopback."""

    audience: Annotated[str, Field(min_length=1)]
    """What its tokens must be for: this mesh's client id."""

    jwks_url: str | None = None
    """Where its keys are; null: where its discovery document says."""

    tenant_claim: Annotated[str, Field(min_length=1)] = "sub"
    """The claim that tells its people apart: a string, or a list of strings."""

    tenants: dict[str, Name] = Field(default_factory=dict)
    """What that claim may say, and which tenant it means. Whoever is not here is nobody."""

    scopes: tuple[Scope, ...] = TENANT_SCOPES
    """What its people may at most; their tenant narrows it."""

    @model_validator(mode="after")
    def _safe(self) -> "OidcIssuer":
        for url in (self.issuer, self.jwks_url):
            parts = urlsplit(url or self.issuer)
            local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
            if parts.scheme != "https" and not (parts.scheme == "http" and local):
                raise ValueError("an issuer is reached over https (http on loopback only)")
        return self


def claims_of(
    payload: Mapping[str, Any], issuer: OidcIssuer, *, now: float, token_id: str
) -> Claims:
    """Return what a token, its signature and audience verified, means here."""
    issued = _time(payload, "iat")
    expires = min(_time(payload, "exp"), issued + MAX_LIFETIME_S)
    if now >= expires + LEEWAY_S:
        raise _refused("the token has expired")
    if now < max(issued, _time(payload, "nbf", issued)) - LEEWAY_S:
        raise _refused("the token is not valid yet")
    return Claims(
        iss=ISSUER, aud=AUDIENCE, sub=_tenant(payload, issuer), jti=f"oidc-{token_id}", iat=issued,
        exp=expires, scopes=issuer.scopes,
    )  # fmt: skip


def _tenant(payload: Mapping[str, Any], issuer: OidcIssuer) -> str:
    said = payload.get(issuer.tenant_claim)
    values = said if isinstance(said, list) else [said]
    mapped = issuer.tenants
    found = {mapped[one] for one in values if isinstance(one, str) and one in mapped}
    if len(found) != 1:
        whose = "several tenants" if found else "no tenant"
        raise ForbiddenError(f"your sign-in belongs to {whose} here", "ask your operator to map it")
    return found.pop()


def _time(payload: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = payload.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise _refused("the token lacks a time, or has a malformed one")
    return int(value)


def _refused(why: str) -> UnauthenticatedError:
    return UnauthenticatedError(why, "sign in again")


_LATEST = 253_402_300_799
