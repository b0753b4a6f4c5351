"""Tenants' own accounts that have ended: servers are told for long enough, and then no more."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity.authority import Authority
from cloud_core.identity.natives import FORGET_S, Held, Natives
from cloud_core.tenants import Tenants
from edge_agent.audit import Remembered
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.clock import ManualClock
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import claims_of
from middle_tier.gate import Gate
from middle_tier.register import READY, Register, Tenant
from protocol.errors import UnauthenticatedError


class Office:
    def __init__(self, folder):
        self.clock = ManualClock()
        self.register = Register()
        self.register.put(READY, b"{}")
        self.bucket = MemoryBuckets().at("tenants")
        audit = Remembered()
        authority = Authority.kept(folder, self.clock.wall())
        held = Held(self.bucket, self.register, authority, audit, self.clock)
        self.natives = Natives(held, lambda: None)
        self.tenants = Tenants(self.bucket, self.register, audit, self.clock, key=None)
        self.tenants.leaving = self.natives.end

    async def let_in(self, name):
        await self.tenants.add(Tenant(name=name), "ann")
        account, signing = (nkeys.public_text(Ed25519PrivateKey.generate(), "A") for _ in range(2))
        await self.natives.give(name, account, signing, "ann")
        return account

    def told(self):
        """The accounts that servers are told of."""
        return {claims_of(jwt)["sub"] for jwt in self.natives.jwts()}


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


async def test_a_removed_tenant_s_account_is_told_of_until_every_server_may_know(office):
    gone, stays = await office.let_in("gone"), await office.let_in("stays")
    await office.tenants.remove("gone", "ann")
    await office.clock.advance(FORGET_S)
    assert office.told() == {gone, stays}
    await office.clock.advance(2.0)
    assert office.told() == {stays}


async def test_whoever_is_removed_later_takes_forgotten_accounts_out_of_the_bucket(office):
    accounts = [await office.let_in(name) for name in ("first", "second", "third")]
    await office.tenants.remove("first", "ann")
    assert f"native.{accounts[0]}" in await office.bucket.keys()
    await office.clock.advance(FORGET_S + 2.0)
    await office.tenants.remove("second", "ann")
    kept = [key for key in await office.bucket.keys() if key.startswith("native.")]
    assert sorted(kept) == sorted(f"native.{account}" for account in accounts[1:])
    gate = Gate({}, office.clock, register=office.register)
    for account in accounts[:2]:
        with pytest.raises(UnauthenticatedError):
            gate.native(account)
    assert gate.native(accounts[2]).claims.sub == "third"
