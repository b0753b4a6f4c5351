"""Who may be minted which token: signs what protocol.tokens checks. The key never leaves its file.

A gate needs only the public half: `gate_keys` writes it as JSON, key id -> base64url.
"""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol.errors import ConflictError
from protocol.names import check_name
from protocol.tokens import ALGORITHM, AUDIENCE, ISSUER, Budget, Scope

OPERATOR: tuple[Scope, ...] = ("ask", "plan", "read", "operate")
TENANT: tuple[Scope, ...] = ("ask", "plan", "read")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is to say."""

    tenant: str
    scopes: Sequence[Scope]
    lifetime_s: int
    tasks: Sequence[str] | None = None
    tiers: Sequence[str] | None = None
    budget: Budget | None = None


class SigningKey:
    """The mesh's Ed25519 key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        self.id = hashlib.sha256(self.public).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<SigningKey {self.id}>"

    @classmethod
    def kept(cls, path: Path) -> "SigningKey":
        """Return the key in `path`, made there (mode 0600) when there is none."""
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_secret(path, pem.decode())
            return cls(key)
        try:
            loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise _unusable(path) from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise _unusable(path)
        return cls(loaded)

    def mint(self, grant: Grant, *, now: float, token_id: str) -> str:
        """Return the signed token; `now` is seconds since the epoch, `token_id` never repeats."""
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": check_name(grant.tenant, "tenant"),
            "jti": token_id,
            "iat": int(now),
            "exp": int(now) + grant.lifetime_s,
            "scopes": list(grant.scopes),
        }
        if grant.tasks is not None:
            claims["tasks"] = [check_name(task, "task") for task in grant.tasks]
        if grant.tiers is not None:
            claims["tiers"] = list(grant.tiers)
        if grant.budget is not None:
            claims["budget"] = grant.budget.model_dump(exclude_none=True)
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self.id})

    def gate_keys(self) -> str:
        """Return the file that gates check tokens with."""
        public = base64.urlsafe_b64encode(self.public).rstrip(b"=").decode()
        return json.dumps({self.id: public}, indent=2) + "\n"


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    write_secret_bytes(path, text.encode())


def write_secret_bytes(path: Path, data: bytes) -> None:
    """As `write_secret`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise


def _unusable(path: Path) -> ConflictError:
    return ConflictError(
        f"{path} is not an Ed25519 private key", "move it away: a new one is made, old tokens end"
    )
