"""Tokens: only what the mesh signed, for us, now, gets past `check`; everything else is a 401."""

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ForbiddenError, UnauthenticatedError
from protocol.tokens import AUDIENCE, LEEWAY_S, MAX_TOKEN_BYTES, check

NOW = 1_800_000_000
OURS = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
THEIRS = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
KEYS = {"k1": OURS.public_key(), "k2": THEIRS.public_key()}
PUBLIC = OURS.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PUBLIC_PEM = OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims(**changed):
    payload = {
        "iss": "tiermesh", "aud": AUDIENCE, "sub": "acme", "jti": "t-1",
        "iat": NOW - 10, "exp": NOW + 60, "scopes": ["ask"],
    } | changed  # fmt: skip
    return {name: value for name, value in payload.items() if value is not ...}


def a_token(key=OURS, kid="k1", headers=None, **changed):
    return jwt.encode(
        claims(**changed), key, algorithm="EdDSA", headers={"kid": kid} | (headers or {})
    )


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def verified(token, *, now=NOW, keys=KEYS, revoked=frozenset()):
    return check(token, keys, now=now, revoked=revoked)


def start(value):
    return ascii(value)[:40]


def refused(token, match=None, **given):
    with pytest.raises(UnauthenticatedError, match=match) as caught:
        verified(token, **given)
    assert caught.value.status == 401
    assert "Bearer" in caught.value.hint
    return caught.value


def test_a_good_token_says_who_asks():
    said = verified(a_token(tasks=["digits"], tiers=["edge"], budget={"queries_per_s": 5}, nbf=NOW))
    assert (said.sub, said.tasks, said.tiers) == ("acme", ("digits",), ("edge",))
    assert said.budget.queries_per_s == 5


def test_alg_none_is_refused():
    for alg in ("none", "None", "NONE", ""):
        refused(f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims())}.", "not signed by this mesh")


@pytest.mark.parametrize("secret", [PUBLIC, PUBLIC_PEM, b""], ids=["raw", "pem", "empty"])
@pytest.mark.parametrize("alg", ["HS256", "EdDSA"])
def test_a_mac_keyed_with_the_public_key_is_refused(alg, secret):
    signed = f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims())}"
    refused(f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}")


def test_another_keys_signature_is_refused():
    refused(a_token(key=THEIRS), "does not verify")
    refused(a_token(kid="k2"), "does not verify")
    refused(a_token(key=Ed25519PrivateKey.generate()), "does not verify")


@pytest.mark.parametrize("kid", ["", "k3", "K1", "k1 ", "../k1", "None"])
def test_an_unknown_kid_is_refused(kid):
    refused(a_token(kid=kid), "not signed by this mesh")


def test_a_token_without_kid_or_with_no_text_for_one_is_refused():
    for kid in (None, 1, ["k1"], {"k1": 1}, ...):
        header = {"alg": "EdDSA"} | ({} if kid is ... else {"kid": kid})
        refused(f"{part(header)}.{part(claims())}.{part(b'x' * 64)}")


def test_a_key_that_comes_with_the_token_is_not_believed():
    theirs = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": part(THEIRS.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
    }
    refused(a_token(key=THEIRS, headers={"jwk": theirs}), "does not verify")
    refused(a_token(headers={"crit": ["b64"], "b64": False}))


def test_expiry_has_a_small_leeway_and_no_more():
    token = a_token()
    assert verified(token, now=NOW + 60 + LEEWAY_S - 0.01)
    refused(token, "expired", now=NOW + 60 + LEEWAY_S)


def test_a_token_from_the_future_is_refused():
    refused(a_token(iat=NOW + 6), "not valid yet")
    refused(a_token(nbf=NOW + 6), "not valid yet")
    assert verified(a_token(iat=NOW + 5, nbf=NOW + 5))


@pytest.mark.parametrize("audience", ["other", "", "tiermesh2", ["tiermesh"], None, ...])
def test_another_audience_is_refused(audience):
    refused(a_token(aud=audience))


def test_a_revoked_token_is_refused():
    refused(a_token(), "revoked", revoked=frozenset({"t-1"}))


@pytest.mark.parametrize("missing", ["iss", "sub", "jti", "iat", "exp", "scopes", "aud"])
def test_a_token_that_lacks_a_claim_is_refused(missing):
    assert verified(a_token())
    refused(a_token(**{missing: ...}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": "not.a.name"},
        {"sub": "*"},
        {"scopes": ["root"]},
        {"scopes": "ask"},
        {"exp": 10**400},
        {"exp": -1},
        {"exp": "soon"},
        {"tiers": ["moon"]},
        {"tasks": ["a>b"]},
        {"jti": ""},
        {"budget": {"queries_per_s": -1}},
        {"budget": {"concurrency": 0}},
    ],
    ids=start,
)
def test_a_malformed_claim_is_refused(wrong):
    payload = json.dumps(claims(**wrong)).encode()
    signed = f"{part({'alg': 'EdDSA', 'kid': 'k1'})}.{part(payload)}"
    refused(f"{signed}.{part(OURS.sign(signed.encode()))}")


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 2500], ids=start)
def test_a_signed_payload_that_is_no_object_is_refused(payload):
    signed = f"{part({'alg': 'EdDSA', 'kid': 'k1'})}.{part(payload)}"
    refused(f"{signed}.{part(OURS.sign(signed.encode()))}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer x",
        "\udc80\udcff",
        "é.é.é",
        "\0.\0.\0",
        part(b"[" * 2900) + ".a.b",
        part(b'{"a":' * 550) + ".a.b",
        part(b'{"alg":' + b"1" * 2900 + b"}") + ".a.b",
        part([]) + ".e30.x",
        part({"alg": ["EdDSA"], "kid": "k1"}) + ".e30.x",
        a_token() + ".x",
        a_token().rsplit(".", 1)[0],
    ],
    ids=start,
)
def test_what_is_not_a_token_is_refused(token):
    refused(token)


def test_an_oversized_token_is_refused_unread():
    refused("x" * (MAX_TOKEN_BYTES + 1), "too long")
    good = a_token(tasks=[f"task-{n}" for n in range(150)])
    assert len(good) < MAX_TOKEN_BYTES
    assert verified(good)
    refused(a_token(tasks=[f"task-{n}" for n in range(400)]), "too long")


@given(st.text(max_size=200))
def test_any_text_is_refused(text):
    refused(text)


@given(st.data())
def test_a_changed_character_is_refused(data):
    good = a_token()
    place = data.draw(st.integers(0, len(good) - 2))  # the last one holds bits that mean nothing
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != good[place]))
    refused(good[:place] + other + good[place + 1 :])


def test_a_scope_or_task_that_the_token_lacks_is_forbidden():
    said = verified(a_token(scopes=["ask"], tasks=["digits"]))
    said.demand("ask", "digits")
    for scope, task in (("operate", None), ("ask", "letters"), ("plan", "digits")):
        with pytest.raises(ForbiddenError):
            said.demand(scope, task)


def test_a_token_without_a_task_list_covers_every_task():
    verified(a_token()).demand("ask", "anything")
    with pytest.raises(ForbiddenError):
        verified(a_token(tasks=[])).demand("ask", "anything")
