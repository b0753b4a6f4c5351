"""Forged, foreign, old and smuggled tokens, thrown at the gate of a running process."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from middle_tier.register import Tenant
from tests.gateprocess import DIGITS, IMAGE, LANES, TAKEN_BACK, a_gate_process

BODY = json.dumps(IMAGE).encode()
SECOND = b"GET /v1/nodes HTTP/1.1\r\nHost: gate\r\n"
"""What a smuggler would have the gate take for a request of its own."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    with a_gate_process(
        tmp_path_factory.mktemp("gate"), Tenant(name="acme"), Tenant(name="warmer")
    ) as running:
        yield running


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


def encoded(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(gate, header, **changed):
    return f"{encoded(header)}.{encoded(gate.claims(**changed))}"


def refused(gate, token, lane, said=""):
    """It is a 401 that says what is wrong, in our shape, and shows nothing of the token."""
    got = gate.ask(token, lane=lane)
    assert got.status == 401, got.body
    assert got.json["reason"] == "unauthenticated"
    assert said in got.json["error"]
    assert got.headers["www-authenticate"] == "Bearer"
    parts = [part for part in (token or "").split(".") if len(part) > 8]
    assert not any(part in got.body.decode() for part in parts)


def test_a_good_token_is_let_in(gate, lane):
    assert gate.ask(gate.token(), lane=lane).status == 200


def test_no_token(gate, lane):
    refused(gate, None, lane, "no token")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_alg_none(gate, lane, alg):
    header = {"alg": alg, "typ": "JWT", "kid": gate.key.id}
    refused(gate, unsigned(gate, header) + ".", lane, "not signed by this mesh")


@pytest.mark.parametrize("alg", ["HS256", "HS512"])
def test_hmac_with_the_public_key(gate, lane, alg):
    public = Ed25519PublicKey.from_public_bytes(gate.key.public)
    secrets = (
        gate.key.public,
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        encoded(gate.key.public).encode(),
    )
    digest = hashlib.sha256 if alg == "HS256" else hashlib.sha512
    for secret in secrets:
        signed = unsigned(gate, {"alg": alg, "kid": gate.key.id})
        signature = hmac.new(secret, signed.encode(), digest).digest()
        refused(gate, f"{signed}.{encoded(signature)}", lane, "not signed by this mesh")


@pytest.mark.parametrize("kid", ["another", "", "../../keys/gate.json", "' or 1=1 --"])
def test_unknown_key_id(gate, lane, kid):
    forged = Ed25519PrivateKey.generate()
    token = jwt.encode(gate.claims(), forged, "EdDSA", headers={"kid": kid})
    refused(gate, token, lane, "not signed by this mesh")


def test_our_key_id_on_anothers_signature(gate, lane):
    forged = Ed25519PrivateKey.generate()
    token = jwt.encode(gate.claims(), forged, "EdDSA", headers={"kid": gate.key.id})
    refused(gate, token, lane, "signature does not verify")


def test_a_key_that_the_token_brings_along(gate, lane):
    forged = Ed25519PrivateKey.generate()
    x = encoded(forged.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}
    headers = {"kid": gate.key.id, "jwk": jwk, "jku": "http://127.0.0.1:9/", "x5u": "http://x/"}
    token = jwt.encode(gate.claims(), forged, "EdDSA", headers=headers)
    refused(gate, token, lane, "signature does not verify")


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    ],
    ids=["RS256", "ES256"],
)
def test_another_asymmetric_algorithm(gate, lane, key, alg):
    token = jwt.encode(gate.claims(), key, alg, headers={"kid": gate.key.id})
    refused(gate, token, lane, "not signed by this mesh")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_changed_by_one_character(gate, lane, part):
    parts = gate.token().split(".")
    at = len(parts[part]) // 2
    other = "A" if parts[part][at] != "A" else "B"
    parts[part] = parts[part][:at] + other + parts[part][at + 1 :]
    refused(gate, ".".join(parts), lane)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "another-mesh"}, "another audience"),
        ({"aud": ["another-mesh", "tiermesh"]}, "lacks a claim"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"exp": 1}, "expired"),
        ({"exp": int(time.time()) - 10}, "expired"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"iat": int(time.time()) + 600}, "not valid yet"),
        ({"jti": TAKEN_BACK}, "revoked"),
        ({"sub": "nobody-here"}, "not a tenant"),
        ({"sub": "Not A Name"}, "lacks a claim"),
        ({"exp": ...}, "lacks a claim"),
        ({"jti": ...}, "lacks a claim"),
        ({"aud": ...}, "lacks a claim"),
        ({"scopes": ["ask", "root"]}, "lacks a claim"),
        ({"exp": 10**400}, ""),
    ],
    ids=range(15),
)
def test_a_token_of_ours_that_is_not_for_here_and_now(gate, lane, changed, said):
    refused(gate, gate.token(**changed), lane, said)


@pytest.mark.parametrize(
    "token",
    [
        "x", "a.b", "a.b.c", "..", "." * 200, "e30.e30.e30", "A" * 5000, "é" * 10, "%00%00",
        encoded({"alg": ["EdDSA"]}) + ".e30.e30", encoded(b"[" * 900) + ".e30.e30",
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_token(gate, lane, token):
    got = gate.send(
        b"POST " + DIGITS.encode() + b" HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer "
        + token.encode("utf-8") + f"\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY,
        lane,
    )[0]  # fmt: skip
    assert got.status == 401


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "Authorization"])
def test_a_token_in_the_query_string(gate, lane, name):
    token = gate.token()
    for path in (f"{DIGITS}?{name}={token}", f"{DIGITS}?{name}=Bearer%20{token}"):
        got = gate.ask(None, path, lane)
        assert got.status == 401
        assert "no token" in got.json["error"]
    assert token not in gate.log


def request(*headers, body=BODY, length=True):
    lines = [f"POST {DIGITS} HTTP/1.1", "Host: gate", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def none_got_in(answers, most=1):
    """Refused, and no second request was found in the bytes of the first."""
    assert len(answers) <= most
    assert all(answer.status in {400, 401, 405, 413, 431, 501} for answer in answers), answers


def test_two_authorization_headers(gate, lane):
    good, bad = f"Authorization: Bearer {gate.token()}", "Authorization: Bearer x"
    for order in ((good, bad), (bad, good), (good, "authorization: Basic eDp5")):
        none_got_in(gate.send(request(*order), lane))


def test_a_folded_authorization_header(gate, lane):
    none_got_in(gate.send(request(f"Authorization: Bearer\r\n {gate.token()}"), lane))
    none_got_in(gate.send(request("X-Other: a\r\n Authorization: Bearer x"), lane))


@pytest.mark.parametrize("bad", ["\r", "\n", "\x00", "\x0b", "\x7f"])
def test_a_control_character_in_the_token(gate, lane, bad):
    token = gate.token()
    none_got_in(gate.send(request(f"Authorization: Bearer {token[:9]}{bad}{token[9:]}"), lane))


def test_a_header_within_the_value_of_another(gate, lane):
    smuggled = f"X-Tenant: a\rAuthorization: Bearer {gate.token()}"
    none_got_in(gate.send(request(smuggled), lane))
    none_got_in(gate.send(request(f"X-Tenant : a\nAuthorization : Bearer {gate.token()}"), lane))


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 60"),
        ("Content-Length: 5, 60",),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Content-Length: 0x5",),
        ("Content-Length: 5\x0b",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked", "Content-Length: 5"),
        ("Transfer-Encoding : chunked", "Content-Length: 5"),
        ("Transfer-Encoding: \x0bchunked", "Content-Length: 5"),
    ],
    ids=str,
)
def test_two_lengths_for_one_body(gate, lane, framing):
    """Where they could be read two ways, the connection ends before the second request."""
    body = b"0\r\n\r\n" + SECOND + f"Authorization: Bearer {gate.token()}\r\n\r\n".encode()
    good = f"Authorization: Bearer {gate.token()}"
    answers = gate.send(request(good, *framing, body=body, length=False), lane)
    assert len(answers) == 1, answers
    assert answers[0].status in {400, 413, 501}, answers


def test_a_chunk_size_that_overflows(gate):
    good = f"Authorization: Bearer {gate.token()}"
    for size in (b"ffffffffffffffffff", b"-1", b"0x5", b"5;\n"):
        body = size + b"\r\n" + SECOND + b"\r\n"
        answers = gate.send(
            request(good, "Transfer-Encoding: chunked", body=body, length=False), "slow"
        )
        assert len(answers) == 1
        assert answers[0].status == 400


def test_a_name_that_looks_like_the_header(gate, lane):
    for name in ("X-Authorization", "Authorization_", "Proxy-Authorization", "Cookie"):
        none_got_in(gate.send(request(f"{name}: Bearer {gate.token()}"), lane))


def test_a_token_of_one_request_is_not_that_of_the_next(gate, lane):
    """On one connection: each request shows its own."""
    first = request(f"Authorization: Bearer {gate.token()}")
    answers = gate.send(first + request(), lane)
    assert [answer.status for answer in answers] == [200, 401]


def test_after_all_of_it_the_gate_stands_and_has_logged_no_token(gate):
    assert gate.ask(gate.token()).status == 200
    assert gate.token().split(".")[1][:40] not in gate.log
    assert "Traceback" not in gate.log
