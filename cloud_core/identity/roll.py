"""Pure. Who is enrolled and by which tokens, as it stands in the bucket; and who may join."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from cloud_core.identity.authority import FOREVER
from cloud_core.identity.states import BARRED
from edge_agent.identity import nkeys
from protocol.errors import ConflictError, ForbiddenError, UnknownError, UntrustedError
from protocol.identity import Enrol, IdentityState, UserKey, enrolment
from protocol.types import Name, NonNegative, Tier, Wire

FORGET_S = 60 * 86_400.0
"""How long after it was revoked a key is still named to the servers: longer than any JWT lives."""


class Identity(Wire):
    """One device's."""

    device: UserKey
    node: Name
    site: Name
    tier: Tier
    state: IdentityState
    since: NonNegative
    """When it came into this state, by the cloud's wall clock."""
    token: UserKey | None = None
    """What it was enrolled with; null: it was given its credentials."""
    detail: str = ""

    @property
    def key(self) -> str:
        return f"identity.{self.device}"


class Ticket(Wire):
    """What is kept of an enrolment token."""

    id: UserKey
    site: Name
    tier: Tier
    uses: Annotated[int, Field(ge=1, le=10_000)] = 1
    expires: NonNegative
    approved: bool = False
    """Whether a device is active at once."""
    by: str = ""
    used: tuple[UserKey, ...] = ()
    """Devices that it was used for."""

    @property
    def key(self) -> str:
        return f"token.{self.id}"


@dataclass(frozen=True, slots=True)
class Known:
    """Something that stands in the bucket, and in which revision."""

    identity: Identity
    revision: int


@dataclass(slots=True)
class Roll:
    """All of it. The mutable state is the identities."""

    identities: dict[str, Known] = field(default_factory=dict)
    """By the device's key."""

    def of(self, site: str, node: str) -> Known:
        """Return a node's identity, the one that is in force if there were several.

        Raises `UnknownError`.
        """
        found = [
            known
            for known in self.identities.values()
            if (known.identity.site, known.identity.node) == (site, node)
        ]
        if not found:
            raise UnknownError(f"no identity {node} in {site}", "see `tiermesh enrol list`")
        return max(found, key=lambda one: (one.identity.state != "revoked", one.identity.since))

    def barred(self, now: float) -> dict[str, int]:
        """Return the keys that servers must refuse, with until when."""
        return {
            device: FOREVER
            for device, known in self.identities.items()
            if known.identity.state in BARRED
            and (known.identity.state != "revoked" or now - known.identity.since < FORGET_S)
        }


def joining(ticket: Ticket | None, asked: Enrol, others: Iterable[Identity], now: float) -> Ticket:
    """Return the token as it stands after this use; raise unless it may be used for this device."""
    # 1. The mesh has issued it.
    if ticket is None:
        raise ForbiddenError("this enrolment token is not known", _ASK)
    # 2. It has not ended.
    if now >= ticket.expires:
        raise ForbiddenError("this enrolment token has expired", _ASK)
    # 3. Whoever asks has it, and has the device's key, and asks for just this.
    said = enrolment(asked.node, asked.device)
    try:
        nkeys.verify(nkeys.public_key(ticket.id, "U"), asked.by_token, said)
        nkeys.verify(nkeys.public_key(asked.device, "U"), asked.by_device, said)
    except UntrustedError as error:
        raise ForbiddenError("the enrolment is not signed by its token and its device") from error
    # 4. It is not used up.
    if asked.device in ticket.used:
        return ticket
    if len(ticket.used) >= ticket.uses:
        raise ForbiddenError("this enrolment token is used up", _ASK)
    # 5. No other device has that name.
    for other in others:
        same = (other.site, other.node) == (ticket.site, asked.node)
        if same and other.state != "revoked":
            raise ConflictError(
                f"{ticket.site} has a node {asked.node} already",
                "choose another name, or have the old one revoked",
            )
    return ticket.model_copy(update={"used": (*ticket.used, asked.device)})


def entered(ticket: Ticket, asked: Enrol, now: float) -> Identity:
    """Return the new identity."""
    return Identity(
        device=asked.device,
        node=asked.node,
        site=ticket.site,
        tier=ticket.tier,
        state="active" if ticket.approved else "pending",
        since=now,
        token=ticket.id,
    )


_ASK = "ask your operator for another: tiermesh enrol token --site S"
