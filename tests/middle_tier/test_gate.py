"""Tokens at the gate, and the file of keys that they are checked with."""

import base64
import json

import pytest

from edge_agent.clock import ManualClock
from middle_tier.gate import Gate, read_keys
from protocol.errors import BadRequestError, ForbiddenError, UnauthenticatedError
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


def test_a_known_token_can_be_taken_back():
    clock = ManualClock()
    gate, token = a_gate(clock), a_token(clock)
    gate.admit(token)
    gate.revoked = frozenset({"t1"})
    with pytest.raises(UnauthenticatedError, match="revoked"):
        gate.admit(token)


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
