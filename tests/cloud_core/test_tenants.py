"""Tenants and tokens: kept in the bucket, felt at the gate, written into the audit log."""

import asyncio
import json

import pytest

from cloud_core.issuer import SigningKey
from cloud_core.tenants import MAX_LIFETIME_S, Tenants, Wanted, founded, mint
from cloud_core.up import tokens as kept_tokens
from edge_agent.audit import Remembered
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.clock import ManualClock
from middle_tier.gate import Gate, read_keys
from middle_tier.register import READY, Register, Tenant
from protocol.errors import (
    BadRequestError,
    ConflictError,
    UnauthenticatedError,
    UnknownError,
    UnreachableError,
)
from protocol.tokens import Budget

OPERATOR = Tenant(name="operator", scopes=("read", "operate"))


class Mesh:
    """A bucket, the register that follows it, and a gate at another site that does too."""

    def __init__(self, folder):
        self.clock = ManualClock()
        self.audit = Remembered()
        self.key = SigningKey.kept(folder / "signing.pem")
        self.bucket = MemoryBuckets().at("tenants")
        self.register = Register()
        self.tenants = Tenants(self.bucket, self.register, self.audit, self.clock, key=self.key)

    async def admitted(self, token):
        """What a gate elsewhere says, which has heard everything."""
        register = Register()
        for key in await self.bucket.keys():
            register.put(key, (await self.bucket.get(key)).value)
        keys = read_keys(self.key.gate_keys().encode())
        return Gate(keys, self.clock, register=register).admit(f"Bearer {token}")


async def a_mesh(folder, *tenants):
    mesh = Mesh(folder)
    await mesh.tenants.found((OPERATOR, *tenants), ())
    mesh.register.put(READY, b"{}")
    return mesh


async def test_a_token_that_is_issued_is_good_everywhere_until_it_is_revoked(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    minted = await mesh.tenants.issue(Wanted(tenant="acme"), "operator")
    assert (await mesh.admitted(minted.token)).sub == "acme"
    await mesh.tenants.revoke(minted.issued.id, "operator")
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await mesh.admitted(minted.token)


async def test_a_token_says_no_more_than_was_asked_for(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    budget = Budget(queries_per_s=5)
    wanted = Wanted(
        tenant="acme", scopes=("ask",), tasks=("digits",), tiers=("edge",), budget=budget
    )
    claims = await mesh.admitted((await mesh.tenants.issue(wanted, "operator")).token)
    assert (claims.scopes, claims.tasks, claims.tiers, claims.budget) == (
        ("ask",), ("digits",), ("edge",), budget,
    )  # fmt: skip


async def test_no_token_for_what_the_tenant_may_not(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    with pytest.raises(BadRequestError, match="may not operate"):
        await mesh.tenants.issue(Wanted(tenant="acme", scopes=("operate",)), "operator")
    with pytest.raises(UnknownError):
        await mesh.tenants.issue(Wanted(tenant="nobody"), "operator")
    for lifetime_s in (0, -1, MAX_LIFETIME_S + 1):
        with pytest.raises(BadRequestError, match="lifetime"):
            await mesh.tenants.issue(Wanted(tenant="acme", lifetime_s=lifetime_s), "operator")


async def test_a_tenant_that_is_removed_takes_its_tokens_along(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    minted = await mesh.tenants.issue(Wanted(tenant="acme"), "operator")
    await mesh.tenants.remove("acme", "operator")
    with pytest.raises(UnauthenticatedError, match="not a tenant"):
        await mesh.admitted(minted.token)


async def test_nobody_removes_the_tenant_that_they_are(tmp_path):
    mesh = await a_mesh(tmp_path)
    with pytest.raises(ConflictError, match="your own"):
        await mesh.tenants.remove("operator", "operator")


async def test_a_name_is_given_once(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    with pytest.raises(ConflictError, match="there is a tenant"):
        await mesh.tenants.add(Tenant(name="acme"), "operator")
    await mesh.tenants.replace(Tenant(name="acme", tiers=("edge",)), "operator")
    assert mesh.tenants.tenant("acme").tiers == ("edge",)
    with pytest.raises(UnknownError):
        await mesh.tenants.replace(Tenant(name="other"), "operator")


async def test_what_was_removed_does_not_come_back_at_the_next_start(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="demo"))
    await mesh.tenants.remove("demo", "operator")
    await mesh.tenants.found((OPERATOR, Tenant(name="demo")), ())
    assert [tenant.name for tenant in mesh.tenants.tenants()] == ["operator"]


async def test_a_token_minted_beside_the_mesh_is_listed_and_stays_revoked(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="demo"))
    wanted = Wanted(tenant="demo")
    minted = mint(mesh.key, wanted, ("ask",), by="tiermesh", now=mesh.clock.wall())
    described = kept_tokens.described(minted.token)
    assert described == minted.issued
    await mesh.tenants.found((), (described,))
    assert [one.id for one in mesh.tenants.tokens("demo")] == [described.id]
    await mesh.tenants.revoke(described.id, "operator")
    await mesh.tenants.found((), (described,))
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await mesh.admitted(minted.token)


async def test_a_token_that_nobody_has_heard_of_is_taken_back_only_when_that_is_meant(tmp_path):
    mesh = await a_mesh(tmp_path)
    minted = mint(mesh.key, Wanted(tenant="operator"), ("read",), by="x", now=mesh.clock.wall())
    with pytest.raises(UnknownError, match="was issued here"):
        await mesh.tenants.revoke(minted.issued.id, "operator")
    await mesh.tenants.revoke(minted.issued.id.upper(), "operator", unlisted=True)
    with pytest.raises(UnauthenticatedError, match="revoked"):
        await mesh.admitted(minted.token)


async def test_tokens_that_ended_long_ago_are_forgotten_and_revoked_ones_never_early(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    short = await mesh.tenants.issue(Wanted(tenant="acme", lifetime_s=60), "operator")
    long = await mesh.tenants.issue(Wanted(tenant="acme"), "operator")
    await mesh.tenants.revoke(long.issued.id, "operator")
    await mesh.clock.advance(3 * 86_400)
    last = await mesh.tenants.issue(Wanted(tenant="acme"), "operator")
    ids = {one.id for one in mesh.tenants.tokens()}
    assert ids == {long.issued.id, last.issued.id}
    assert short.issued.id not in ids


async def test_everything_that_is_done_is_audited_and_no_token_is(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    minted = await mesh.tenants.issue(Wanted(tenant="acme"), "operator")
    await mesh.tenants.revoke(minted.issued.id, "operator")
    await mesh.tenants.replace(Tenant(name="acme", tiers=("edge",)), "operator")
    await mesh.tenants.remove("acme", "operator")
    kinds = [kind for kind, _ in mesh.audit.entries]
    assert kinds == [
        "tenant-add", "tenant-add", "token-issue", "token-revoke", "tenant-change",
        "tenant-remove",
    ]  # fmt: skip
    assert {fields["actor"] for _, fields in mesh.audit.entries[2:]} == {"operator"}
    said = json.dumps(mesh.audit.entries)
    assert minted.issued.id in said
    assert not any(part in said for part in minted.token.split("."))
    kept = b"".join([(await mesh.bucket.get(key)).value for key in await mesh.bucket.keys()])
    assert minted.token.rsplit(".", 1)[1].encode() not in kept


async def test_without_the_key_nothing_is_issued(tmp_path):
    mesh = await a_mesh(tmp_path, Tenant(name="acme"))
    keyless = Tenants(mesh.bucket, mesh.register, mesh.audit, mesh.clock, key=None)
    with pytest.raises(ConflictError, match="no signing key"):
        await keyless.issue(Wanted(tenant="acme"), "operator")


async def test_founding_waits_for_the_bucket(tmp_path):
    mesh, tried = Mesh(tmp_path), []

    class Late(Tenants):
        async def found(self, founders, tokens):
            tried.append(mesh.clock.now())
            if len(tried) < 3:
                raise UnreachableError("not yet")
            await super().found(founders, tokens)

    class Config:
        tenants, tokens = (OPERATOR,), ()

    late = Late(mesh.bucket, mesh.register, mesh.audit, mesh.clock, key=None)
    founding = asyncio.ensure_future(founded(late, Config, mesh.clock))
    await mesh.clock.advance(5)
    await founding
    assert len(tried) == 3
    assert await mesh.bucket.get(READY) is not None
