"""Tenants and their tokens: added, changed, removed; issued and taken back. Every one audited.

What is kept is the bucket `tenants`, which every gate mirrors; how a gate uses it is
`middle_tier.register`. A token itself is shown once, to whoever had it issued, and kept nowhere.
"""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from cloud_core.issuer import Grant, SigningKey
from edge_agent.audit import Audit
from edge_agent.bus.kv import Bucket
from edge_agent.clock import Clock
from middle_tier.register import READY, Issued, Register, Tenant
from protocol.errors import BadRequestError, ConflictError, MeshError, UnknownError
from protocol.tokens import Budget, Scope
from protocol.types import Name, Tier, Wire

Leaving = Callable[[str, str], Awaitable[int]]
"""Takes the tenant, and who orders it."""
_log = logging.getLogger(__name__)

DAY_S = 86_400
RETRY_S = 0.2
LIFETIME_S = 90 * DAY_S
MAX_LIFETIME_S = 366 * DAY_S
MAX_TENANTS = 10_000
MAX_TOKENS = 100_000
_HEX = re.compile(r"[0-9a-fA-F]{32}")
FORGET_S = DAY_S
"""How long after its end a token is still listed."""


class Wanted(Wire):
    """A token that somebody asks for; what is left out is whatever its tenant may."""

    tenant: Name
    scopes: tuple[Scope, ...] | None = None
    tasks: tuple[Name, ...] | None = None
    tiers: tuple[Tier, ...] | None = None
    budget: Budget | None = None
    lifetime_s: int = LIFETIME_S


@dataclass(frozen=True, slots=True)
class Minted:
    """A token, this once, and what is kept of it."""

    token: str
    issued: Issued


class Tenants:
    """Reads from the register and writes to the bucket; the register hears of it by the bucket."""

    def __init__(
        self, bucket: Bucket, register: Register, audit: Audit, clock: Clock,
        *, key: SigningKey | None,
    ) -> None:  # fmt: skip
        self._bucket = bucket
        self._register = register
        self._audit = audit
        self._clock = clock
        self._key = key
        self.leaving: Leaving = _alone
        """Told of a tenant before it is removed."""

    def tenants(self) -> list[Tenant]:
        return sorted(self._register.tenants.values(), key=lambda tenant: tenant.name)

    def tenant(self, name: str) -> Tenant:
        """Raises `UnknownError`."""
        found = self._register.tenants.get(name)
        if found is None:
            raise UnknownError(
                f"no tenant {name[:63]!r}",
                "`tiermesh tenants list` names those there are; `tenants add` makes one",
            )
        return found

    def tokens(self, tenant: str | None = None) -> list[Issued]:
        """Those issued, the newest first."""
        tokens = self._register.tokens.values()
        found = [one for one in tokens if tenant is None or one.tenant == tenant]
        return sorted(found, key=lambda one: (-one.issued, one.id))

    async def add(self, tenant: Tenant, by: str) -> None:
        """Raises `ConflictError` when there is one of that name."""
        if len(self._register.tenants) >= MAX_TENANTS:
            raise ConflictError(f"there are {MAX_TENANTS} tenants", "remove one first")
        key = f"tenant.{tenant.name}"
        try:
            await self._bucket.put(key, _line(tenant), expected=0)
        except ConflictError as error:
            raise ConflictError(
                f"there is a tenant {tenant.name}", "change it with --replace, or remove it"
            ) from error
        self._kept("tenant-add", key, tenant, by)

    async def replace(self, tenant: Tenant, by: str) -> None:
        """Change what it may. Raises `UnknownError`."""
        self.tenant(tenant.name)
        key = f"tenant.{tenant.name}"
        await self._bucket.put(key, _line(tenant))
        self._kept("tenant-change", key, tenant, by)

    async def remove(self, name: str, by: str) -> None:
        """Its tokens are worth nothing from now on. Nobody removes the tenant that they are."""
        self.tenant(name)
        if name == by:
            raise ConflictError("that is your own tenant", "have another operator remove it")
        await self.leaving(name, by)
        key = f"tenant.{name}"
        await self._bucket.delete(key)
        self._register.put(key, None)
        self._audit.record("tenant-remove", actor=by, tenant=name)

    async def issue(self, wanted: Wanted, by: str) -> Minted:
        """Mint a token. Raises `UnknownError`, `BadRequestError`, `ConflictError`."""
        tenant = self.tenant(wanted.tenant)
        scopes = wanted.scopes if wanted.scopes is not None else tenant.scopes
        if beyond := [scope for scope in scopes if scope not in tenant.scopes]:
            raise BadRequestError(
                f"{tenant.name} may not {', '.join(beyond)}", "give the tenant that scope first"
            )
        if not 1 <= wanted.lifetime_s <= MAX_LIFETIME_S:
            raise BadRequestError(
                "the lifetime is not usable", f"give 1 to {MAX_LIFETIME_S} seconds"
            )
        await self._make_room()
        minted = mint(self._own_key(), wanted, scopes, by=by, now=self._clock.wall())
        await self._keep(minted.issued)
        self._audit.record(
            "token-issue", actor=by, tenant=tenant.name, id=minted.issued.id,
            scopes=",".join(scopes), expires=minted.issued.expires,
        )  # fmt: skip
        return minted

    async def revoke(self, token_id: str, by: str, *, unlisted: bool = False) -> Issued:
        """Take a token back. Every gate hears of it at once. Raises `UnknownError`.

        `unlisted`: also one that was not issued here, but minted beside the mesh.
        """
        now = int(self._clock.wall())
        if _HEX.fullmatch(token_id):
            token_id = token_id.lower()  # as `mint` writes it, and gates compare it
        issued = self._register.tokens.get(token_id)
        if issued is None:
            if not unlisted:
                raise UnknownError(
                    f"no token {token_id[:128]!r} was issued here",
                    "see `tiermesh tokens list`; for one that was issued elsewhere say --unlisted "
                    "(?unlisted=true)",
                )
            issued = Issued(id=token_id, tenant="unknown", expires=now + MAX_LIFETIME_S)
        if issued.revoked is None:
            issued = issued.model_copy(update={"revoked": now})
            await self._keep(issued)
            self._audit.record("token-revoke", actor=by, tenant=issued.tenant, id=token_id)
        return issued

    async def found(self, founders: Sequence[Tenant], tokens: Sequence[Issued]) -> None:
        """Put in what a mesh begins with: once, so that what is removed stays so; then say so.

        Tokens minted beside the mesh are listed unless they are already, revoked or not.
        """
        if await self._bucket.get(READY) is None:
            for tenant in founders:
                with suppress(ConflictError):  # it got so far before
                    await self.add(tenant, "tiermesh")
        for issued in tokens:
            if await self._bucket.get(f"token.{issued.id}") is None:
                await self._keep(issued)
        await self._bucket.put(READY, b"{}")

    async def _keep(self, issued: Issued) -> None:
        key, line = f"token.{issued.id}", _line(issued)
        await self._bucket.put(key, line)
        self._register.put(key, line)

    def _kept(self, kind: str, key: str, tenant: Tenant, by: str) -> None:
        self._register.put(key, _line(tenant))
        budget = tenant.budget.model_dump_json(exclude_none=True)
        self._audit.record(
            kind, actor=by, tenant=tenant.name, scopes=",".join(tenant.scopes), budget=budget,
            tasks=_named(tenant.tasks), tiers=_named(tenant.tiers),
        )  # fmt: skip

    async def _make_room(self) -> None:
        """Forget tokens that ended long ago, some at a time."""
        tokens = self._register.tokens
        if len(tokens) >= MAX_TOKENS:
            raise ConflictError(f"there are {MAX_TOKENS} tokens", "wait for some to expire")
        before = self._clock.wall() - FORGET_S
        for issued in [one for one in tokens.values() if one.expires < before][:100]:
            await self._bucket.delete(f"token.{issued.id}")
            self._register.put(f"token.{issued.id}", None)

    def _own_key(self) -> SigningKey:
        if self._key is None:
            raise ConflictError(
                "this gate has no signing key", "set 'signing_key' in the cloud's configuration"
            )
        return self._key


async def _alone(_name: str, _by: str) -> int:
    """No tenant has an account of NATS."""
    return 0


class Founding(Protocol):
    """What a mesh begins with."""

    @property
    def tenants(self) -> Sequence[Tenant]: ...

    @property
    def tokens(self) -> Sequence[Issued]: ...


async def founded(tenants: Tenants, founding: Founding, clock: Clock) -> None:
    """Put in what the mesh begins with, as soon as there is where to."""
    while True:
        try:
            await tenants.found(founding.tenants, founding.tokens)
        except MeshError as error:
            _log.debug("the tenants are not founded yet: %s", error)
            await clock.sleep(RETRY_S)
        else:
            return


def mint(
    key: SigningKey, wanted: Wanted, scopes: Sequence[Scope], *, by: str, now: float
) -> Minted:
    """Sign a token, and describe it."""
    token_id = secrets.token_hex(16)
    grant = Grant(
        wanted.tenant, scopes, wanted.lifetime_s, wanted.tasks, wanted.tiers, wanted.budget
    )
    issued = Issued(
        id=token_id, tenant=wanted.tenant, scopes=tuple(scopes), tasks=wanted.tasks,
        tiers=wanted.tiers, budget=wanted.budget or Budget(), issued=int(now),
        expires=int(now) + wanted.lifetime_s, by=by,
    )  # fmt: skip
    return Minted(key.mint(grant, now=now, token_id=token_id), issued)


def _line(document: Tenant | Issued) -> bytes:
    return document.model_dump_json(exclude_none=True).encode()


def _named(names: Sequence[str] | None) -> str:
    return "every" if names is None else ",".join(names) or "none"
