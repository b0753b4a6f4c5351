"""Where a request enters: who asks, and what the token allows.

What a token is stands in protocol.tokens; tenants' tasks and scopes are enforced by each route with
`Claims.demand`. Nothing here issues tokens.
"""

import base64
import binascii
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_agent.clock import Clock
from protocol.errors import BadRequestError, UnauthenticatedError
from protocol.tokens import AUDIENCE, LEEWAY_S, MAX_TOKEN_BYTES, Claims, check

MAX_KNOWN = 4096
"""Verified tokens that are remembered; all are forgotten when there are more."""

FOR_EVER = 253_402_300_799
"""The last second of the year 9999: the claims of an open gate do not expire."""


class Gate:
    """Admits requests by their ``Authorization`` header.

    A token is verified once and then remembered by the whole header until it expires; whether it
    has been taken back is looked up each time. With `open_tenant` nobody needs a token and
    everybody is that tenant: for loopback only.
    """

    def __init__(
        self,
        keys: Mapping[str, Ed25519PublicKey],
        clock: Clock,
        *,
        revoked: frozenset[str] = frozenset(),
        open_tenant: str | None = None,
    ) -> None:
        self.keys = dict(keys)
        self.revoked = revoked
        self._clock = clock
        self._known: dict[str, Claims] = {}
        self._everybody = None if open_tenant is None else everything(open_tenant)

    def __repr__(self) -> str:
        if self._everybody is not None:
            return f"<Gate open to {self._everybody.sub}>"
        return f"<Gate {len(self.keys)} keys | {len(self._known)} tokens known>"

    def admit(self, authorization: str | None) -> Claims:
        """Return what the caller may do, or raise `UnauthenticatedError`."""
        if self._everybody is not None:
            return self._everybody
        if authorization is None:
            raise UnauthenticatedError(
                "no token was sent", "send 'Authorization: Bearer <token>' with the request"
            )
        claims = self._known.get(authorization)
        now = self._clock.wall()
        if claims is not None and now < claims.exp + LEEWAY_S and claims.jti not in self.revoked:
            return claims
        return self._verify(authorization, now)

    def _verify(self, authorization: str, now: float) -> Claims:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError(
                "the Authorization header does not carry a bearer token",
                "send 'Authorization: Bearer <token>'",
            )
        self._known.pop(authorization, None)
        claims = check(token.strip(), self.keys, now=now, revoked=self.revoked)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        if len(authorization) <= 2 * MAX_TOKEN_BYTES:
            self._known[authorization] = claims
        return claims


def everything(tenant: str) -> Claims:
    """Claims that permit all there is: what an open gate hands to everybody."""
    return Claims(
        iss="local", aud=AUDIENCE, sub=tenant, jti="local", iat=0, exp=FOR_EVER,
        scopes=("ask", "plan", "read", "operate"),
    )  # fmt: skip


def read_keys(data: bytes) -> dict[str, Ed25519PublicKey]:
    """Read a key file: a JSON object, key id to the raw public key in base64url.

    Raises `BadRequestError` that names the key which cannot be read.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BadRequestError("the key file is not JSON", _KEYS_HINT) from error
    if not isinstance(document, dict):
        raise BadRequestError("the key file is not a JSON object", _KEYS_HINT)
    return {kid: _key(kid, value) for kid, value in document.items()}


def _key(kid: str, value: object) -> Ed25519PublicKey:
    if not isinstance(value, str):
        raise BadRequestError(f"key {kid!r} is not a string", _KEYS_HINT)
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(f"key {kid!r} is not an Ed25519 key", _KEYS_HINT) from error


_KEYS_HINT = 'it reads {"<key id>": "<32 bytes of the public key in base64url>", ...}'
