"""What a device and the cloud say of its identity: enrolment, renewal, a clone noticed.

Proofs are signatures of the named key, as NATS writes them, over what `enrolment` and `renewal`
return. A JWT is no secret: only who has its key can connect with it.
"""

from typing import Annotated, Literal

from pydantic import StringConstraints

from protocol.types import Name, NonNegative, Wire

UserKey = Annotated[str, StringConstraints(pattern=r"^U[A-Z2-7]{55}$")]
"""A device's public key, or an enrolment token's."""
Proof = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{86}$")]
IdentityState = Literal["pending", "active", "quarantined", "revoked"]


class Enrol(Wire):
    """A device asks to be one of the mesh."""

    kind: Literal["enrol"] = "enrol"
    token: UserKey
    """The public key of the enrolment token, which says of which site and tier the device is."""
    node: Name
    device: UserKey
    by_token: Proof
    by_device: Proof


class Renew(Wire):
    """A device asks for its next JWT."""

    kind: Literal["renew"] = "renew"
    device: UserKey
    id: Annotated[str, StringConstraints(pattern=r"^[A-Z2-7]{52}$")]
    """Of the JWT that it has."""
    by_device: Proof


class Identified(Wire):
    """What became of it."""

    kind: Literal["identified"] = "identified"
    state: IdentityState
    jwt: str | None = None
    root: str | None = None
    """The first root of the mesh's bundles: believed only if the token names its digest."""
    detail: str = ""


class Cloned(Wire):
    """A site has heard two processes that both say they are this node."""

    kind: Literal["cloned"] = "cloned"
    site: Name
    node: Name
    boots: tuple[str, str]
    for_s: NonNegative


def enrolment(node: str, device: str) -> bytes:
    """Return what the token's key and the device's key sign."""
    return f"tiermesh enrol {node} {device}".encode()


def renewal(device: str, jwt_id: str) -> bytes:
    """Return what the device's key signs."""
    return f"tiermesh renew {device} {jwt_id}".encode()
