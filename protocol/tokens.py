"""What a tenant token says, and how it is checked. Issuing is not here.

A token is a JWT signed with Ed25519 (RFC 8037, ``alg: EdDSA``). PyJWT checks the signature; times
are checked here against a ``now`` that the caller gives: the wall clock is not ours to read.
"""

from collections.abc import Container, Mapping
from typing import Annotated, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.types import Options
from pydantic import Field, ValidationError

from protocol.errors import ForbiddenError, UnauthenticatedError
from protocol.types import Count, Name, NonNegative, Tier, Wire

AUDIENCE = "tiermesh"
ISSUER = "tiermesh"
ALGORITHM = "EdDSA"
MAX_TOKEN_BYTES = 4096
LEEWAY_S = 5.0
"""How far issuer's and gate's clocks may differ."""

Scope = Literal["ask", "plan", "read", "operate"]


class Budget(Wire):
    """What a tenant may use."""

    queries_per_s: NonNegative | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    usd_per_day: NonNegative | None = None


class Claims(Wire):
    """Who asks, and what they may."""

    iss: str
    aud: str
    sub: Name
    """The tenant."""
    jti: Annotated[str, Field(min_length=1, max_length=128)]
    iat: Count
    exp: Count
    nbf: Count | None = None
    scopes: tuple[Scope, ...]
    tasks: tuple[Name, ...] | None = None
    """None: every task."""
    tiers: tuple[Tier, ...] | None = None
    budget: Budget = Budget()

    def demand(self, scope: Scope, task: str | None = None) -> None:
        """Raise `ForbiddenError` unless the token covers `scope` (and `task`)."""
        if scope not in self.scopes:
            raise ForbiddenError(
                f"this token does not carry the scope {scope!r}",
                f"it carries {', '.join(self.scopes) or 'none'}; ask your operator for another",
            )
        if task is not None and self.tasks is not None and task not in self.tasks:
            raise ForbiddenError("this token does not cover that task", "see GET /v1/tasks")


def check(
    token: str, keys: Mapping[str, Ed25519PublicKey], *, now: float, revoked: Container[str]
) -> Claims:
    """Return what the token says, or raise `UnauthenticatedError`.

    `keys` maps key ids to the mesh's public keys, `now` is seconds since the epoch, `revoked`
    token ids.
    """
    claims = _read(_verified(token, keys))
    # 5. It is valid now.
    if now >= claims.exp + LEEWAY_S:
        raise _refused("the token has expired", claims.sub)
    if now < max(claims.iat, claims.nbf or 0) - LEEWAY_S:
        raise _refused("the token is not valid yet", claims.sub)
    # 6. It has not been taken back.
    if claims.jti in revoked:
        raise _refused("the token has been revoked", claims.sub)
    return claims


def _verified(token: str, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, object]:
    # 1. It is short enough to look at, and text that a JWT can be.
    if len(token) > MAX_TOKEN_BYTES:
        raise _refused("the token is too long")
    if not token.isascii():
        raise _refused("the token is not a JWT")
    # 2. It names one of our keys and exactly our algorithm, before anything is verified with it.
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError) as error:  # older PyJWT lets the latter through
        raise _refused("the token is not a JWT") from error
    key = keys.get(str(header.get("kid")))
    if header.get("alg") != ALGORITHM or key is None:
        raise _refused("the token is not signed by this mesh")
    # 3. The signature is good.
    try:
        payload: dict[str, object] = jwt.decode(
            token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY
        )
    except jwt.InvalidTokenError as error:
        raise _refused("the token's signature does not verify") from error
    return payload


def _read(payload: dict[str, object]) -> Claims:
    # 4. It says what a token must say, for us.
    try:
        claims = Claims.model_validate(payload)
    except ValidationError as error:
        raise _refused("the token lacks a claim, or has a malformed one") from error
    if claims.aud != AUDIENCE:
        raise _refused("the token is for another audience")
    if claims.iss != ISSUER:
        raise _refused("the token is of another issuer")
    return claims


_SIGNATURE_ONLY: Options = {
    "verify_signature": True, "verify_exp": False, "verify_nbf": False,
    "verify_iat": False, "verify_aud": False, "verify_iss": False,
}  # fmt: skip


def _refused(why: str, whose: str = "") -> UnauthenticatedError:
    hint = "send 'Authorization: Bearer <token>' with a current token"
    return UnauthenticatedError(why, hint, whose=whose)
