"""The two tokens that `tiermesh up` hands out: the operator's, and that of the tenant `demo`."""

import secrets

import jwt

from cloud_core.issuer import OPERATOR, TENANT, Grant, SigningKey, write_secret
from cloud_core.up.layout import Layout
from middle_tier.register import Issued

DAY_S = 86_400
LIFETIME_S = 90 * DAY_S
RENEW_S = 7 * DAY_S
"""A token that ends sooner than this is minted anew."""
SCOPES = {"operator": OPERATOR, "demo": TENANT}


def kept(layout: Layout, now: float) -> dict[str, str]:
    """Return token by tenant, from their files; minted there when missing or about to end."""
    key = SigningKey.kept(layout.signing_key)
    write_secret(layout.gate_keys, key.gate_keys())
    return {tenant: _kept(layout, key, tenant, now) for tenant in SCOPES}


def described(token: str) -> Issued:
    """What is kept of a token of ours: all that it says, and not the token."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return Issued(
        id=claims["jti"], tenant=claims["sub"], scopes=claims["scopes"], issued=claims["iat"],
        expires=claims["exp"], by="tiermesh",
    )  # fmt: skip


def _kept(layout: Layout, key: SigningKey, tenant: str, now: float) -> str:
    path = layout.token(tenant)
    if path.exists():
        token = path.read_text().strip()
        if _lasts(token, key, now):
            return token
    grant = Grant(tenant, SCOPES[tenant], LIFETIME_S)
    token = key.mint(grant, now=now, token_id=secrets.token_hex(16))
    write_secret(path, token + "\n")
    return token


def _lasts(token: str, key: SigningKey, now: float) -> bool:
    """Whether it is of this key and good for a while; gates check it properly."""
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False
    return header.get("kid") == key.id and claims.get("exp", 0) > now + RENEW_S
