"""Pure. A connection's credentials: the JWT that the mesh signed, and the key that proves it.

As text it is the .creds file that every NATS client reads. Minting is cloud_core.identity's.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.identity import nkeys
from protocol.errors import UntrustedError

_BLOCK = re.compile(
    r"-----BEGIN (NATS USER JWT|USER NKEY SEED)-----\s*([A-Za-z0-9._-]+)\s*------END \1------"
)
_MEND = "enrol again: tiermesh-agent enrol --token ..."


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who connects. The seed is a secret: it is never shown."""

    jwt: str
    key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"<Credentials {self.name} of {self.site}>"

    @classmethod
    def parse(cls, text: str) -> "Credentials":
        """Return what a .creds file says; raise `UntrustedError` when the two do not match."""
        blocks = {found[1]: found[2] for found in _BLOCK.finditer(text)}
        if len(blocks) != 2:  # noqa: PLR2004  # the JWT and the seed
            raise UntrustedError("not a NATS credentials file", _MEND)
        read = cls(blocks["NATS USER JWT"], nkeys.private_key(blocks["USER NKEY SEED"], "U"))
        if claims_of(read.jwt).get("sub") != read.public:
            raise UntrustedError("the credentials are for another key", _MEND)
        return read

    @property
    def text(self) -> str:
        """What a .creds file says."""
        seed = nkeys.seed_text(self.key, "U")
        return (
            f"-----BEGIN NATS USER JWT-----\n{self.jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )

    @property
    def public(self) -> str:
        return nkeys.public_text(self.key, "U")

    @property
    def name(self) -> str:
        return str(claims_of(self.jwt).get("name", ""))

    @property
    def site(self) -> str:
        return tags_of(self.jwt).get("site", "")

    @property
    def inbox(self) -> str:
        """Where replies to this connection may go: no other one may listen there."""
        return f"_INBOX.{self.site}.{self.public}"

    @property
    def issuer(self) -> str:
        return str(claims_of(self.jwt).get("iss", ""))

    @property
    def id(self) -> str:
        return str(claims_of(self.jwt).get("jti", ""))

    def sign(self, nonce: str) -> bytes:
        """Return the signature that a server asks for."""
        return nkeys.signed(self.key, nonce.encode()).encode()

    def lifetime(self) -> tuple[float, float | None]:
        """When it begins, and when it ends (None: never), in seconds since the epoch."""
        claims = claims_of(self.jwt)
        ends = claims.get("exp")
        return _number(claims.get("iat")), None if ends is None else _number(ends)


def claims_of(jwt: str) -> Mapping[str, object]:
    """Return what a JWT says, unverified: for its own holder. Raises `UntrustedError`."""
    try:
        body = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError) as error:
        raise UntrustedError("not a JWT", _MEND) from error
    if not isinstance(claims, dict):
        raise UntrustedError("not a JWT", _MEND)
    return claims


def tags_of(jwt: str) -> dict[str, str]:
    """Return the tags ``name:value`` of a user's JWT."""
    nats = claims_of(jwt).get("nats")
    tags = nats.get("tags", ()) if isinstance(nats, dict) else ()
    return {name: value for name, _, value in (str(tag).partition(":") for tag in tags)}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
