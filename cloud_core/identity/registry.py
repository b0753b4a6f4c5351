"""Enrolment, approval and revocation: decided by roll and states, kept in a bucket, audited.

Servers hear of it by `tell`; what travels over NATS and HTTP is service's and routes'.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from cloud_core.identity import roll
from cloud_core.identity.authority import Authority, Holder
from cloud_core.identity.provisioned import Provisioned
from cloud_core.identity.roll import Identity, Known, Roll, Ticket
from cloud_core.identity.states import Event, after
from edge_agent.audit import Audit
from edge_agent.background import beside
from edge_agent.bus.kv import Bucket, Entry
from edge_agent.clock import Clock
from edge_agent.identity import nkeys
from protocol.bundles import digest_key
from protocol.errors import ConflictError, ForbiddenError, UnknownError, UntrustedError
from protocol.identity import Enrol, Identified, Renew, renewal
from protocol.types import Name, Tier, Wire

log = logging.getLogger(__name__)

BUCKET = "identities"
PREFIX = "identity."
AT_ONCE = 256
"""Keys that are read from the bucket together."""
LIFETIME_S = 30 * 86_400.0
"""Of a device's JWT. Lower ends what a stolen device may sooner, where a revocation never came."""
MAX_TTL_S = 30 * 86_400.0


class TokenWanted(Wire):
    """An enrolment token that an operator asks for."""

    site: Name
    tier: Tier = "edge"
    uses: int = 1
    ttl_s: float = 3600.0
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What a registry is made of."""

    bucket: Bucket
    authority: Authority
    audit: Audit
    clock: Clock
    parent: str = "cloud"
    """The site whose server enrolled devices' sites are leaf nodes of."""
    root: bytes | None = None
    """The first root of the mesh's bundles, for devices that join; None: they get it otherwise."""


@dataclass(frozen=True, slots=True)
class Minted:
    """An account's JWT, and who is barred by it."""

    barred: dict[str, int]
    jwt: str
    second: int
    """When it was made, as it says."""
    newest: bool
    """Whether none was made in the same second: a server may keep the first of two."""

    def stands(self, barred: dict[str, int], now: float) -> bool:
        """Whether servers are to be told just this again."""
        return self.barred == barred and (self.newest or int(now) == self.second)


class Registry:
    """The mutable state is the roll, which follows the bucket."""

    def __init__(self, kept: Kept, tell: Callable[[], None]) -> None:
        self._kept = kept
        self._tell = tell
        self._roll = Roll()
        self._minted: Minted | None = None
        self.whole = False
        """Whether all that stands in the bucket is known."""
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Registry {len(self._roll.identities)} identities>"

    @property
    def audit(self) -> Audit:
        """Where it writes down what it does."""
        return self._kept.audit

    @property
    def identities(self) -> list[Identity]:
        known = (one.identity for one in self._roll.identities.values())
        return sorted(known, key=lambda one: (one.site, one.node, one.since))

    def mesh_jwt(self) -> str:
        """Return the account's JWT with everybody who is barred: what servers must be told.

        The same one while those are the same: a server takes a new one for a new account, and
        loses the replies that are on their way to tenants' accounts.
        """
        now = self._kept.clock.wall()
        barred, last = self._roll.barred(now), self._minted
        if last is not None and last.stands(barred, now):
            return last.jwt
        newest = last is None or int(now) > last.second
        jwt = self._kept.authority.mesh_jwt(barred, now)
        self._minted = Minted(barred, jwt, int(now), newest=newest)
        return jwt

    def told(self) -> tuple[str, ...]:
        """Return what servers are to be told now: nothing before all is known.

        A list without those whom it does not know yet would let them in again.
        """
        return (self.mesh_jwt(),) if self.whole else ()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the bucket until the block ends: another cloud process may write there as well."""
        async with beside(self._follow(), "identities"):
            yield

    async def read(self) -> None:
        """Know all that stands in the bucket: nobody is told before who is barred."""
        names = [key for key in await self._kept.bucket.keys() if key.startswith(PREFIX)]
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            for entry in await asyncio.gather(*map(self._kept.bucket.get, some)):
                if entry is not None:
                    self._take(entry)
        self.whole = True

    async def provide(self, nodes: Iterable[Provisioned]) -> None:
        """Enter the nodes that were given their credentials, unless they are known."""
        for one in nodes:
            identity = Identity(
                device=one.public, node=one.node, site=one.site, tier=one.tier,
                state="active", since=self._kept.clock.wall(), detail="given its credentials",
            )  # fmt: skip
            if await self._kept.bucket.get(identity.key) is None:
                await self._write(identity, 0)

    async def issue(self, wanted: TokenWanted, by: str) -> str:
        """Return a new enrolment token: shown this once. What is kept cannot be used as it."""
        if not (1 <= wanted.uses <= 10_000 and 0 < wanted.ttl_s <= MAX_TTL_S):  # noqa: PLR2004
            raise ConflictError("uses are 1 to 10,000, and a token lives 30 days at most")
        key, now = Ed25519PrivateKey.generate(), self._kept.clock.wall()
        public = nkeys.public_text(key, "U")
        ticket = Ticket(
            id=public, site=wanted.site, tier=wanted.tier, uses=wanted.uses,
            expires=now + wanted.ttl_s, approved=wanted.approved, by=by,
        )  # fmt: skip
        await self._kept.bucket.put(ticket.key, ticket.model_dump_json().encode(), expected=0)
        holder = Holder("bootstrap", "enrolment", wanted.site, wanted.tier, self._kept.parent)
        jwt = self._kept.authority.user_jwt(holder, public, now=now, lifetime_s=wanted.ttl_s)
        self._kept.audit.record(
            "enrolment-token", actor=by, token=public, site=wanted.site, tier=wanted.tier
        )
        parts = [jwt, nkeys.seed_text(key, "U")]
        if self._kept.root is not None:
            parts.append(digest_key(sha256(self._kept.root).hexdigest()))
        return "~".join(parts)

    async def enrol(self, asked: Enrol) -> Identified:
        """Let a device join, or say in what state it is. Raises what `roll.joining` raises."""
        async with self._turn:
            now = self._kept.clock.wall()
            entry = await self._kept.bucket.get(f"token.{asked.token}")
            ticket = Ticket.model_validate_json(entry.value) if entry and entry.value else None
            known = self._roll.identities.get(asked.device)
            others = [one for one in self.identities if one.device != asked.device]
            used = roll.joining(ticket, asked, others, now)
            if known is None:
                assert entry is not None  # noqa: S101  # a token that is not there was refused
                await self._kept.bucket.put(
                    used.key, used.model_dump_json().encode(), expected=entry.revision
                )
                known = await self._write(roll.entered(used, asked, now), 0)
                self._audit("enrolled", known.identity, by=used.by)
            elif known.identity.node != asked.node:
                raise ConflictError(f"this device is {known.identity.node} already")
            return self._identified(known.identity)

    async def renew(self, asked: Renew) -> Identified:
        """Return a device's next JWT. Raises `ForbiddenError` for any but an active one's key."""
        known = self._roll.identities.get(asked.device)
        if known is None:
            raise ForbiddenError("this device is not enrolled", "enrol it: tiermesh-agent enrol")
        try:
            key = nkeys.public_key(asked.device, "U")
            nkeys.verify(key, asked.by_device, renewal(asked.device, asked.id))
        except UntrustedError as error:
            raise ForbiddenError("the renewal is not signed by its device") from error
        return self._identified(known.identity)

    async def change(self, site: str, node: str, event: Event, by: str, why: str = "") -> Identity:
        """Approve, reject, quarantine or revoke; servers are told before this returns."""
        async with self._turn:
            return await self._changed(self._roll.of(site, node), event, by, why)

    async def cloned(self, site: str, node: str, why: str) -> None:
        """Quarantine whoever has been heard twice at once, unless that is done already."""
        async with self._turn:
            try:
                known = self._roll.of(site, node)
            except UnknownError:
                log.warning("%s in %s is cloned, and was never enrolled", node, site)
                return
            if known.identity.state == "active":
                await self._changed(known, "quarantine", "tiermesh", why)

    async def _changed(self, known: Known, event: Event, by: str, why: str) -> Identity:
        identity = known.identity
        changed = identity.model_copy(
            update={
                "state": after(identity.state, event),
                "since": self._kept.clock.wall(),
                "detail": why,
            }
        )
        self._audit(f"identity-{event}", changed, by=by)
        await self._write(changed, known.revision)
        self._tell()
        return changed

    def _identified(self, identity: Identity) -> Identified:
        if identity.state != "active":
            return Identified(state=identity.state, detail=identity.detail)
        holder = Holder("agent", identity.node, identity.site, identity.tier, self._kept.parent)
        jwt = self._kept.authority.user_jwt(
            holder, identity.device, now=self._kept.clock.wall(), lifetime_s=LIFETIME_S
        )
        root = self._kept.root
        return Identified(state="active", jwt=jwt, root=None if root is None else root.decode())

    async def _write(self, identity: Identity, revision: int) -> Known:
        value = identity.model_dump_json().encode()
        written = await self._kept.bucket.put(identity.key, value, expected=revision)
        known = Known(identity, written)
        self._roll.identities[identity.device] = known
        return known

    async def _follow(self) -> None:
        async with self._kept.bucket.watch() as entries:
            async for entry in entries:
                self._take(entry)

    def _take(self, entry: Entry) -> None:
        if entry.value is None or not entry.key.startswith(PREFIX):
            return
        try:
            identity = Identity.model_validate_json(entry.value)
        except ValidationError:
            log.exception("%s in the bucket %s is not an identity", entry.key, BUCKET)
            return
        known = self._roll.identities.get(identity.device)
        if known is None or known.revision < entry.revision:
            self._roll.identities[identity.device] = Known(identity, entry.revision)
            self._tell()

    def _audit(self, kind: str, identity: Identity, *, by: str) -> None:
        self._kept.audit.record(
            kind, actor=by, node=identity.node, site=identity.site, device=identity.device,
            state=identity.state,
        )  # fmt: skip
