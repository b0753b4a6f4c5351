"""Pure. NATS JWTs of an operator, an account and a user (version 2), signed with Ed25519.

What a role may do is roles'; which keys there are is authority's.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity.roles import Template
from edge_agent.identity import nkeys
from edge_agent.identity.nkeys import Role

_UNLIMITED = -1
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature a JWT carries."""

    key: Ed25519PrivateKey
    role: Role

    @property
    def public(self) -> str:
        return nkeys.public_text(self.key, self.role)


@dataclass(frozen=True, slots=True)
class Account:
    """What an account's JWT says."""

    name: str
    public: str
    scopes: Mapping[str, Template] = field(default_factory=dict)
    """By the public key that signs users of that scope."""
    revoked: Mapping[str, int] = field(default_factory=dict)
    """Users by public key: their JWTs issued until then are refused."""
    exports: Sequence[Mapping[str, object]] = ()
    imports: Sequence[Mapping[str, object]] = ()
    keeps_streams: bool = False
    connections: int = _UNLIMITED
    """Users at a time; 0: those that are connected are cut off, too."""


@dataclass(frozen=True, slots=True)
class User:
    """What a scoped user's JWT says: who it is; its scope says what it may do."""

    name: str
    public: str
    account: str
    tags: Mapping[str, str]
    expires: int | None = None


def operator(signer: Signer, *, signing: Sequence[str], system: str, now: int) -> str:
    """Return the operator's JWT; accounts must be signed by `signing`, never by its own key."""
    nats = {
        "signing_keys": list(signing),
        "strict_signing_key_usage": True,
        "system_account": system,
        "type": "operator",
        "version": 2,
    }
    return _signed(signer, {"name": "tiermesh", "sub": signer.public, "nats": nats}, now)


def account(signer: Signer, said: Account, *, now: int) -> str:
    """Return an account's JWT."""
    nats: dict[str, object] = {
        "limits": _limits(said),
        "signing_keys": [_scope(key, template) for key, template in said.scopes.items()],
        "default_permissions": {"pub": {"deny": [">"]}, "sub": {"deny": [">"]}},
        "exports": list(said.exports),
        "imports": list(said.imports),
        "type": "account",
        "version": 2,
    }
    if said.revoked:
        nats["revocations"] = dict(said.revoked)
    return _signed(signer, {"name": said.name, "sub": said.public, "nats": nats}, now)


def user(signer: Signer, said: User, *, now: int) -> str:
    """Return a user's JWT. It has no permissions of its own: those are its scope's."""
    nats = {
        "issuer_account": said.account,
        "tags": [f"{name}:{value}" for name, value in said.tags.items()],
        "type": "user",
        "version": 2,
    }
    claims: dict[str, object] = {"name": said.name, "sub": said.public, "nats": nats}
    if said.expires is not None:
        claims["exp"] = said.expires
    return _signed(signer, claims, now)


def _limits(said: Account) -> dict[str, object]:
    streams = _UNLIMITED if said.keeps_streams else 0
    return {
        **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "leaf"), _UNLIMITED),
        "conn": said.connections,
        **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), streams),
        "wildcards": True,
    }


def _scope(key: str, template: Template) -> dict[str, object]:
    permissions: dict[str, object] = {
        "pub": _side(template.publish),
        "sub": _side(template.subscribe),
        **dict.fromkeys(("subs", "data", "payload"), _UNLIMITED),
        "allowed_connection_types": list(template.connections),
    }
    if template.replies_ns:
        permissions["resp"] = {"max": _UNLIMITED, "ttl": template.replies_ns}
    return {"kind": "user_scope", "key": key, "role": template.role, "template": permissions}


def _side(allowed: Sequence[str]) -> dict[str, list[str]]:
    """An empty list of what is allowed would allow everything: that is a denial of everything."""
    return {"allow": list(allowed)} if allowed else {"deny": [">"]}


def _signed(signer: Signer, claims: Mapping[str, object], now: int) -> str:
    body: dict[str, object] = {**claims, "iat": now, "iss": signer.public}
    digest = hashlib.sha256(_json(body)).digest()
    body["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    text = f"{_b64(_json(_HEADER))}.{_b64(_json(body))}"
    return f"{text}.{nkeys.signed(signer.key, text.encode())}"


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
