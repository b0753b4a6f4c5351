"""Becoming a node of the mesh, and staying one: what a device asks of the cloud about itself.

Its key is made here and never leaves it. The enrolment token is a credential that may only ask.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent import kept
from edge_agent.background import beside
from edge_agent.bus.base import Bus
from edge_agent.bus.nats import connecting
from edge_agent.clock import Clock
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import Credentials
from edge_agent.identity.passport import Passport, keep
from protocol.bundles import digest_key
from protocol.codec import Frame
from protocol.errors import ForbiddenError, MeshError, UntrustedError
from protocol.identity import Enrol, Identified, Renew, enrolment, renewal
from protocol.messages import Done
from protocol.subjects import IdentitySubject

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
POLL_S = 2.0
"""Between two questions whether an operator has approved."""
RETRY_S = 60.0
"""Between two attempts to renew, where the cloud does not answer."""
ASTRAY_S = 86_400.0
"""A clock that is so far before the JWT's date is not to be planned by."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A device that is to be enrolled."""

    url: str
    node: str
    token: str
    """The enrolment token: a secret."""
    credentials: Path
    """Where to keep what it becomes."""
    trust: Path
    """Where to keep the first root of the mesh's bundles."""
    ca: Path | None = None


def ticket(token: str) -> Credentials:
    """Return the credentials that an enrolment token is; raise `UntrustedError` for no token."""
    jwt, seed, *_ = *token.strip().split("~"), ""
    return Credentials(jwt, nkeys.private_key(seed, "U"))


def vouched(token: str, root: str | None) -> bytes | None:
    """Pure. Return the root that the cloud has sent, if the token names its digest.

    Whoever answers on the network is not believed about it: the token came by the operator's hand.
    None: the token names none. Raises `UntrustedError` for any other root.
    """
    _, _, pinned, *_ = *token.strip().split("~"), "", ""
    if not pinned:
        return None
    data = (root or "").encode()
    if digest_key(sha256(data).hexdigest()) != pinned:
        raise UntrustedError(
            "the root of the mesh's bundles is not the one that the token names",
            "get a new token: `tiermesh enrol token`; if it happens again, who answers there?",
        )
    return data


def own_key(path: Path) -> Ed25519PrivateKey:
    """Return the device's key, made in `path` when there is none."""
    if path.exists():
        return nkeys.private_key(path.read_text(), "U")
    key = Ed25519PrivateKey.generate()
    kept.write(path, nkeys.seed_text(key, "U").encode() + b"\n")
    return key


async def enrolled(joining: Joining, clock: Clock) -> Credentials:
    """Ask until the device is active; keep and return its credentials.

    Raises `ForbiddenError` when it is refused: what the cloud says of it; `UntrustedError` when it
    is told of a root of the bundles that is not the token's, or not the one that is here.
    """
    key = own_key(joining.credentials.with_suffix(".nk"))
    opener = ticket(joining.token)
    asked = asking(joining.node, opener, key)
    passport = Passport(joining.credentials, opener)
    async with connecting(joining.url, name=joining.node, passport=passport, ca=joining.ca) as bus:
        waited = False
        while (answer := await _answer(bus, "enrol", asked)).state == "pending":
            if not waited:
                log.warning("waiting for an operator: tiermesh enrol approve %s", joining.node)
            waited = True
            await clock.sleep(POLL_S)
    if answer.jwt is None:
        raise ForbiddenError(f"this device is {answer.state}", answer.detail)
    credentials = Credentials.parse(Credentials(answer.jwt, key).text)
    root = vouched(joining.token, answer.root)
    if root is not None:
        _trusted(joining.trust, root)
    keep(joining.credentials, credentials)
    return credentials


def _trusted(path: Path, root: bytes) -> None:
    """Keep the root; one that is here already is not replaced."""
    if path.exists() and path.read_bytes() != root:
        raise UntrustedError(f"{path} is the root of another mesh", "move it away to join this one")
    kept.write(path, root)


def asking(node: str, opener: Credentials, key: Ed25519PrivateKey) -> Enrol:
    """Pure. Return what asks for enrolment, signed by the token and by the device."""
    device = nkeys.public_text(key, "U")
    said = enrolment(node, device)
    return Enrol(
        token=opener.public,
        node=node,
        device=device,
        by_token=nkeys.signed(opener.key, said),
        by_device=nkeys.signed(key, said),
    )


@asynccontextmanager
async def renewed(passport: Passport | None, bus: Bus, clock: Clock) -> AsyncIterator[None]:
    """Renew, where there is something to renew, until the block ends."""
    if passport is None:
        yield
        return
    async with beside(renewing(passport, bus, clock), "renewal"):
        yield


async def renewing(passport: Passport, bus: Bus, clock: Clock) -> None:
    """Renew at half of each JWT's life, for ever; one without an end needs nothing."""
    while True:
        wait_s = until_half(passport.credentials, clock.wall())
        if wait_s is None:
            return
        await clock.sleep(wait_s)
        try:
            await renew(passport, bus)
        except MeshError as error:
            log.warning("the identity is not renewed: %s", error)
            await clock.sleep(RETRY_S)


async def renew(passport: Passport, bus: Bus) -> None:
    """Ask for the next JWT and keep it."""
    mine = passport.credentials
    device = mine.public
    proof = nkeys.signed(mine.key, renewal(device, mine.id))
    answer = await _answer(bus, "renew", Renew(device=device, id=mine.id, by_device=proof))
    if answer.jwt is None:
        raise ForbiddenError(f"this device is {answer.state}", answer.detail)
    passport.replace(answer.jwt)
    log.info("renewed %r", passport)


def until_half(mine: Credentials, now: float) -> float | None:
    """Pure. Return how long to wait; None: it never ends.

    A board without a clock of its own starts long ago: it does not wait, as it cannot know.
    """
    begins, ends = mine.lifetime()
    if ends is None:
        return None
    half_s = (ends - begins) / 2.0
    if now < begins - ASTRAY_S:
        return 0.0
    return min(max(0.0, begins + half_s - now), half_s)


async def _answer(bus: Bus, op: str, asked: Enrol | Renew) -> Identified:
    reply = await bus.request(str(IdentitySubject(op)), Frame(asked), TIMEOUT_S)
    match reply.message:
        case Identified():
            return reply.message
        case Done():
            raise ForbiddenError(reply.message.detail, "see `tiermesh enrol list` at the cloud")
    raise UntrustedError(f"the cloud answered with {reply.message.kind}")
