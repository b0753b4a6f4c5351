"""Tenants that connect to NATS with accounts of their own: let in, shut out, every one audited.

Whose an account is stands in the bucket `tenants`, so that every gate knows it; servers are told
the account itself, which can ask and no more. Its keys are the tenant's: none is ever here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cloud_core.identity.authority import Authority
from edge_agent.audit import Audit
from edge_agent.bus.kv import Bucket
from edge_agent.clock import Clock
from middle_tier.register import Native, Register
from protocol.errors import ConflictError, UnknownError

FORGET_S = 60 * 86_400.0
"""How long servers are told that an account has ended: a site that was cut off for longer lets its
users in, whom every gate then refuses."""


@dataclass(frozen=True, slots=True)
class Held:
    """What accounts are kept with."""

    bucket: Bucket
    register: Register
    authority: Authority
    audit: Audit
    clock: Clock


class Natives:
    """Reads from the register and writes to the bucket. The mutable state is JWTs made already."""

    def __init__(self, held: Held, tell: Callable[[], None]) -> None:
        self._held = held
        self._tell = tell
        self._minted: dict[Native, str] = {}

    async def give(self, tenant: str, account: str, signing: str, by: str) -> Native:
        """Let an account in as a tenant's, in place of the one that it had.

        Raises `UnknownError` for no tenant, `ConflictError` for an account that was given before.
        """
        held = self._held
        if tenant not in held.register.tenants:
            raise UnknownError(
                f"no tenant {tenant[:63]!r}",
                "`tiermesh tenants list` names those there are; `tenants add` makes one",
            )
        native = Native(
            account=account, tenant=tenant, signing=signing, since=int(held.clock.wall()), by=by
        )
        try:
            await self._keep(native, expected=0)
        except ConflictError as error:
            raise ConflictError("that account was given before", "make new keys") from error
        held.audit.record("tenant-account", actor=by, tenant=tenant, account=account)
        await self._end(tenant, by, but=account)
        self._tell()
        return native

    async def end(self, tenant: str, by: str) -> int:
        """Disconnect a tenant's accounts for good; return how many there were."""
        ended = await self._end(tenant, by)
        await self._forget()
        self._tell()
        return ended

    def jwts(self) -> tuple[str, ...]:
        """Return every account as servers must be told it."""
        known = [one for one in self._held.register.natives.values() if not self._past(one)]
        self._minted = {native: self._jwt(native) for native in known}
        return tuple(self._minted.values())

    async def _end(self, tenant: str, by: str, but: str = "") -> int:
        held = self._held
        now = int(held.clock.wall())
        found = [
            one
            for one in held.register.natives.values()
            if one.tenant == tenant and one.ended is None and one.account != but
        ]
        for one in found:
            held.audit.record("tenant-account-end", actor=by, tenant=tenant, account=one.account)
            # Later than it was made, or a server would keep what it was told then.
            await self._keep(one.model_copy(update={"ended": max(now, one.since + 1)}))
        return len(found)

    async def _forget(self) -> None:
        """Let go of those that nobody is told of any more: gates refuse whom none of them knows."""
        past = [one for one in self._held.register.natives.values() if self._past(one)]
        for one in past:
            await self._held.bucket.delete(f"native.{one.account}")
            self._held.register.put(f"native.{one.account}", None)

    def _past(self, one: Native) -> bool:
        return one.ended is not None and self._held.clock.wall() - one.ended > FORGET_S

    async def _keep(self, native: Native, expected: int | None = None) -> None:
        key, line = f"native.{native.account}", native.model_dump_json(exclude_none=True).encode()
        await self._held.bucket.put(key, line, expected=expected)
        self._held.register.put(key, line)

    def _jwt(self, native: Native) -> str:
        return self._minted.get(native) or self._held.authority.tenant_jwt(
            native.tenant, native.account, native.signing, native.ended or native.since,
            ended=native.ended is not None,
        )  # fmt: skip
