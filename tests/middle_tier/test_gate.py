"""Tokens at the gate, and the file of keys that they are checked with."""

import base64
import json

import pytest

from edge_agent.clock import ManualClock
from middle_tier.gate import Gate, read_keys
from middle_tier.register import READY, Issued, Register, Tenant
from protocol.errors import (
    BadRequestError,
    DecodeError,
    ForbiddenError,
    OverBudgetError,
    UnauthenticatedError,
    UnreachableError,
)
from protocol.tokens import Budget
from tests.middle_tier.http_parts import SIGNING_KEY, a_gate, a_token


def test_a_good_token_says_who_asks():
    clock = ManualClock()
    claims = a_gate(clock).admit(a_token(clock))
    assert (claims.sub, claims.scopes) == ("acme", ("ask", "plan", "read"))


def test_the_scheme_is_read_in_any_case():
    clock = ManualClock()
    assert a_gate(clock).admit(a_token(clock).replace("Bearer", "bearer")).sub == "acme"


async def test_a_known_token_still_expires():
    clock = ManualClock()
    gate, token = a_gate(clock), a_token(clock)
    gate.admit(token)
    await clock.advance(3600 + 4)
    gate.admit(token)
    await clock.advance(2)
    with pytest.raises(UnauthenticatedError, match="expired"):
        gate.admit(token)


def a_register(*tenants, **fields):
    register = Register()
    for tenant in tenants or (Tenant(name="acme", **fields),):
        register.put(f"tenant.{tenant.name}", tenant.model_dump_json().encode())
    register.put(READY, b"{}")
    return register


def a_guarded_gate(clock, register):
    return Gate({"k1": SIGNING_KEY.public_key()}, clock, register=register)


def taken_back(token_id="t1"):
    return Issued(id=token_id, tenant="acme", revoked=1).model_dump_json().encode()


def test_a_known_token_can_be_taken_back():
    clock, register = ManualClock(), a_register()
    gate, token = a_guarded_gate(clock, register), a_token(clock)
    gate.admit(token)
    register.put("token.t1", taken_back())
    with pytest.raises(UnauthenticatedError, match="revoked"):
        gate.admit(token)


def test_a_tenant_that_is_removed_is_out_at_once():
    clock, register = ManualClock(), a_register()
    gate, token = a_guarded_gate(clock, register), a_token(clock)
    gate.admit(token)
    register.put("tenant.acme", None)
    with pytest.raises(UnauthenticatedError, match="not a tenant"):
        gate.admit(token)


def test_nobody_is_admitted_before_the_tenants_are_known():
    clock = ManualClock()
    with pytest.raises(UnreachableError, match="not heard yet"):
        a_guarded_gate(clock, Register()).admit(a_token(clock))


def test_a_token_allows_no_more_than_its_tenant_may():
    clock = ManualClock()
    register = a_register(scopes=("ask",), tasks=("pair", "other"), tiers=("edge", "middle"))
    gate = a_guarded_gate(clock, register)
    claims = gate.admit(a_token(clock, tiers=["middle", "cloud"], scopes=["ask", "operate"]))
    assert (claims.scopes, claims.tasks, claims.tiers) == (("ask",), ("pair",), ("middle",))


def test_what_the_tenant_may_changes_for_tokens_that_are_known():
    clock, register = ManualClock(), a_register()
    gate, token = a_guarded_gate(clock, register), a_token(clock)
    assert gate.admit(token).tiers is None
    narrower = Tenant(name="acme", tiers=("edge",))
    register.put("tenant.acme", narrower.model_dump_json().encode())
    assert gate.admit(token).tiers == ("edge",)


def test_a_broken_entry_changes_nothing():
    clock, register = ManualClock(), a_register()
    gate, token = a_guarded_gate(clock, register), a_token(clock)
    register.put("token.t1", taken_back())
    for key in ("tenant.acme", "token.t1"):
        with pytest.raises(DecodeError):
            register.put(key, b"{")
    register.put("other.thing", b"{")
    with pytest.raises(UnauthenticatedError, match="revoked"):
        gate.admit(token)


def test_a_tenant_keeps_its_account_under_all_its_tokens():
    clock = ManualClock()
    gate = a_guarded_gate(clock, a_register(budget=Budget(concurrency=2)))
    one, other = (gate.caller(a_token(clock, jti=name)) for name in ("t1", "t2"))
    one.begin()
    other.begin()
    for caller in (one, other):
        with pytest.raises(OverBudgetError, match="under way"):
            caller.check()
    one.end()
    other.check()


def test_a_tokens_own_budget_binds_it_and_no_other():
    clock = ManualClock()
    gate = a_guarded_gate(clock, a_register())
    narrow = gate.caller(a_token(clock, jti="t1", budget={"concurrency": 1}))
    wide = gate.caller(a_token(clock, jti="t2"))
    narrow.begin()
    wide.check()
    with pytest.raises(OverBudgetError):
        narrow.check()


def test_what_was_used_stays_used_when_the_register_changes():
    clock, register = ManualClock(), a_register(budget=Budget(usd_per_day=1.0))
    gate, token = a_guarded_gate(clock, register), a_token(clock)
    caller = gate.caller(token)
    caller.begin()
    caller.end(2.0)
    register.put("token.x", Issued(id="x", tenant="acme").model_dump_json().encode())
    with pytest.raises(OverBudgetError, match="a day is spent"):
        gate.caller(token).check()


def test_what_is_remembered_is_bounded():
    clock = ManualClock()
    gate = a_gate(clock)
    token = a_token(clock)
    for number in range(5000):
        gate.admit(token + " " * (number % 2500))
    assert int(repr(gate).split("|")[1].split()[0]) <= 4096


def test_an_open_gate_admits_everybody_as_one_tenant():
    claims = Gate({}, ManualClock(), open_tenant="local").admit(None)
    claims.demand("operate", "anything")
    assert claims.sub == "local"


def test_a_token_without_the_scope_is_told_what_it_has():
    clock = ManualClock()
    with pytest.raises(ForbiddenError, match="operate") as caught:
        a_gate(clock).admit(a_token(clock)).demand("operate")
    assert "ask, plan, read" in caught.value.hint


def test_keys_are_read_from_json():
    raw = SIGNING_KEY.public_key().public_bytes_raw()
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    clock = ManualClock()
    gate = Gate(read_keys(json.dumps({"k1": text}).encode()), clock)
    assert gate.admit(a_token(clock)).sub == "acme"


@pytest.mark.parametrize("data", [b"", b"[]", b'{"k": 1}', b'{"k": "AAAA"}', b'{"k": "!"}'])
def test_a_bad_key_file_is_refused(data):
    with pytest.raises(BadRequestError):
        read_keys(data)
