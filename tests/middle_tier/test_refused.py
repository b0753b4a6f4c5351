"""Tokens that a gate does not believe are told by reason and tenant, as numbers, now and then."""

import asyncio

import pytest

from edge_agent.audit import Remembered
from edge_agent.clock import ManualClock
from middle_tier.gate import Gate
from middle_tier.refused import MAX_REASONS, OTHER, TELL_S, Counted, Refused, recorded
from middle_tier.register import Register
from protocol.errors import UnauthenticatedError
from tests.middle_tier.http_parts import a_gate, a_token


def test_the_first_is_told_at_once_and_the_rest_a_minute_later():
    refused = Refused()
    refused.add("the token has expired", "acme")
    assert refused.due(0.0) == (Counted("the token has expired", "acme", 1),)
    for _ in range(1000):
        refused.add("the token has expired", "acme")
    assert refused.due(TELL_S / 2) == ()
    assert refused.due(TELL_S) == (Counted("the token has expired", "acme", 1000),)
    assert refused.due(3 * TELL_S) == ()


def test_reasons_and_tenants_are_told_apart():
    refused = Refused()
    refused.add("the token has expired", "acme")
    refused.add("the token has expired", "umbrella")
    refused.add("no token was sent")
    assert len(refused.due(0.0)) == 3


def test_reasons_without_number_are_few_entries_a_minute_and_all_are_counted():
    refused, told = Refused(), []
    for number in range(10_000):
        refused.add(f"reason {number}")
        told += refused.due(number / 1000)
    assert len(told) <= MAX_REASONS
    told += refused.rest(10.0)
    assert len(told) <= 2 * MAX_REASONS + 1
    assert sum(one.times for one in told) == 10_000
    assert OTHER in {one.reason for one in told}


async def test_they_are_recorded_and_what_is_left_at_the_end_as_well():
    clock, audit, refused = ManualClock(), Remembered(), Refused()
    async with recorded(refused, audit, clock):
        refused.add("the token has been revoked", "acme")
        async with asyncio.timeout(20):
            while not audit.entries:
                await clock.advance(1.0)
                await asyncio.sleep(0.002)  # a thread records
        refused.add("no token was sent")
    kinds = [(kind, said["what"], said["error"], said["count"]) for kind, said in audit.entries]
    assert kinds == [
        ("token-refused", "tokens of acme", "the token has been revoked", 1),
        ("token-refused", "tokens", "no token was sent", 1),
    ]


async def test_a_full_disk_does_not_end_a_gate(caplog):
    class Full:
        def record(self, _, /, **__):
            raise OSError("no space left on device")

    refused = Refused()
    async with recorded(refused, Full(), ManualClock()):
        refused.add("no token was sent")
    assert "no space left" in caplog.text


@pytest.mark.parametrize("secret", ["eyJ", "Bearer"])
async def test_no_token_is_in_what_is_told(secret):
    audit, refused = Remembered(), Refused()
    async with recorded(refused, audit, ManualClock()):
        refused.add("the token is not a JWT")
    assert secret not in str(audit.entries)


def counted(gate):
    return {(one.reason, one.tenant): one.times for one in gate.refused.due(0.0)}


async def test_a_gate_counts_what_it_does_not_believe_and_names_only_who_is_proved():
    clock = ManualClock()
    gate, token = a_gate(clock), a_token(clock)
    gate.admit(token)
    await clock.advance(3700)
    for header in (None, "Bearer x", "Basic x", token, token):
        with pytest.raises(UnauthenticatedError):
            gate.caller(header)
    assert counted(gate) == {
        ("no token was sent", ""): 1,
        ("the token is not a JWT", ""): 1,
        ("the Authorization header does not carry a bearer token", ""): 1,
        ("the token has expired", "acme"): 2,
    }


def test_an_account_that_is_nobody_s_is_counted():
    register = Register(heard=True)
    gate = Gate({}, ManualClock(), register=register)
    with pytest.raises(UnauthenticatedError):
        gate.native("A" * 56)
    assert counted(gate) == {("this account is no tenant's of this mesh", ""): 1}


def test_what_is_counted_says_nothing_to_the_caller():
    """Whose token it was is for the audit log."""
    assert "acme" not in str(UnauthenticatedError("revoked", "hint", whose="acme").body())
