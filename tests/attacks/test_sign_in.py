"""Tokens of OpenID Connect issuers: a real one on loopback, and everybody who pretends to be it."""

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import ValidationError

from cloud_core import oidc
from cloud_core.issuers import MAX_LIFETIME_S, OidcIssuer
from cloud_core.oidc import SignIn
from edge_agent.background import beside
from edge_agent.clock import ManualClock
from middle_tier.gate import Gate
from middle_tier.register import READY, Register, Tenant
from protocol.errors import ForbiddenError, UnauthenticatedError, UnreachableError

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = rsa.generate_private_key(65537, 2048)


class Issuer:
    """What stands at the other end: discovery and keys, as they are set."""

    def __init__(self):
        self.keys = [jwk(RSA_KEY, "r1"), jwk(EC_KEY, "e1")]
        self.asked = 0
        self.says = None
        self.fails = False
        self.url = ""

    async def discovery(self, _):
        return web.json_response({"issuer": self.says or self.url, "jwks_uri": self.url + "/keys"})

    async def jwks(self, _):
        self.asked += 1
        if self.fails:
            raise web.HTTPInternalServerError
        return web.json_response({"keys": self.keys})


def jwk(key, kid, **more):
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


@asynccontextmanager
async def an_issuer(**options):
    """Yields the issuer, its clock, and a gate that takes its tokens."""
    issuer, clock = Issuer(), ManualClock()
    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", issuer.discovery),
            web.get("/keys", issuer.jwks),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    known = OidcIssuer(
        issuer=issuer.url, audience="mesh-client", tenant_claim="groups",
        tenants={"acme-people": "acme", "also-acme": "acme", "rival-people": "rival"}, **options,
    )  # fmt: skip
    register = Register()
    for name in ("acme", "rival"):
        register.put(f"tenant.{name}", Tenant(name=name).model_dump_json().encode())
    register.put(READY, b"{}")
    sign_in = SignIn((known,), clock)
    gate = Gate({}, clock, register=register, foreign=sign_in)
    sign_in.withdrawn = gate.forget
    try:
        async with beside(sign_in.watching(known), "watch"):
            yield issuer, clock, gate
    finally:
        await runner.cleanup()


async def looked(issuer, clock, times=1):
    """Wait until it was asked for its keys so often, and they were taken."""
    async with asyncio.timeout(20):
        while issuer.asked < times:
            await clock.advance(0.01)
            await asyncio.sleep(0.002)  # a socket
        await asyncio.sleep(0.05)


def claims(issuer, clock, **changed):
    now = int(clock.wall())
    said = {
        "iss": issuer.url, "aud": "mesh-client", "sub": "someone", "groups": ["acme-people"],
        "iat": now - 5, "exp": now + 600,
    } | changed  # fmt: skip
    return {name: value for name, value in said.items() if value is not ...}


def signed(payload, key=RSA_KEY, alg="RS256", kid="r1"):
    return "Bearer " + jwt.encode(payload, key, alg, headers={"kid": kid})


@pytest.mark.parametrize(
    ("key", "alg", "kid"), [(RSA_KEY, "RS256", "r1"), (EC_KEY, "ES256", "e1")], ids=["rsa", "ec"]
)
async def test_its_people_are_the_tenant_that_they_are_mapped_to(key, alg, kid):
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        found = gate.admit(signed(claims(issuer, clock), key, alg, kid))
    assert (found.sub, found.scopes, found.tasks) == ("acme", ("ask", "plan", "read"), None)


async def test_before_its_keys_are_here_it_is_not_yet_and_not_never():
    async with an_issuer() as (issuer, clock, gate):
        issuer.fails = True
        await looked(issuer, clock)
        with pytest.raises(UnreachableError, match="not here yet"):
            gate.admit(signed(claims(issuer, clock)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "another-client"}, "another audience"),
        ({"aud": ...}, "another audience"),
        ({"exp": 1}, "expired"),
        ({"exp": ...}, "lacks a time"),
        ({"iat": ...}, "lacks a time"),
        ({"iat": "soon"}, "lacks a time"),
        ({"exp": True}, "lacks a time"),
    ],
    ids=range(7),
)
async def test_a_token_that_is_not_for_here_and_now(changed, said):
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        with pytest.raises(UnauthenticatedError, match=said):
            gate.admit(signed(claims(issuer, clock, **changed)))
        later = int(clock.wall()) + 600
        with pytest.raises(UnauthenticatedError, match="not valid yet"):
            gate.admit(signed(claims(issuer, clock, nbf=later)))


@pytest.mark.parametrize(
    "groups",
    [[], ["strangers"], ..., "acme", ["acme-people", "rival-people"], [["acme-people"]], 7],
)
async def test_who_is_mapped_to_no_tenant_or_to_two_is_nobody(groups):
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        with pytest.raises(ForbiddenError) as caught:
            gate.admit(signed(claims(issuer, clock, groups=groups)))
        assert "rival" not in caught.value.error + caught.value.hint


async def test_two_groups_of_one_tenant_are_that_tenant():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        both = claims(issuer, clock, groups=["acme-people", "also-acme", "strangers"])
        assert gate.admit(signed(both)).sub == "acme"


async def test_hmac_with_its_public_key_and_no_signature_at_all():
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        good = signed(claims(issuer, clock)).removeprefix("Bearer ").split(".")
        for alg in ("HS256", "none"):
            head = jwt.utils.base64url_encode(json.dumps({"alg": alg, "kid": "r1"}).encode())
            body = head + b"." + good[1].encode()
            signature = hmac.new(public, body, hashlib.sha256).digest() if alg != "none" else b""
            token = body + b"." + jwt.utils.base64url_encode(signature)
            with pytest.raises(UnauthenticatedError, match="another way"):
                gate.admit(f"Bearer {token.decode()}")


async def test_another_key_under_its_key_id_and_a_key_that_it_does_not_show():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        with pytest.raises(UnauthenticatedError, match="signature"):
            gate.admit(signed(claims(issuer, clock), OTHER))
        with pytest.raises(UnauthenticatedError, match="does not show"):
            gate.admit(signed(claims(issuer, clock), OTHER, kid="r9"))
        with pytest.raises(UnauthenticatedError, match="another way"):
            gate.admit(signed(claims(issuer, clock), EC_KEY, "ES256", kid="r1"))


async def test_an_issuer_that_nobody_has_configured():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        for said in ("https://evil.example", issuer.url + "/", None):
            with pytest.raises(UnauthenticatedError):
                gate.admit(signed(claims(issuer, clock, iss=said or ...)))
        assert issuer.asked == 1


async def test_a_new_key_is_looked_for_and_not_for_every_token():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        issuer.keys.append(jwk(OTHER, "r2"))
        token = signed(claims(issuer, clock, exp=int(clock.wall()) + 9000), OTHER, kid="r2")
        for _ in range(50):
            with pytest.raises(UnauthenticatedError, match="does not show"):
                gate.admit(token)
        assert issuer.asked == 1
        await clock.advance(oidc.LEAST_S)
        await looked(issuer, clock, 2)
        assert gate.admit(token).sub == "acme"
        assert issuer.asked == 2


async def test_a_key_that_is_withdrawn_ends_what_it_signed():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        token = signed(claims(issuer, clock, exp=int(clock.wall()) + 9000))
        gate.admit(token)
        issuer.keys = [jwk(EC_KEY, "e1")]
        await clock.advance(oidc.REFRESH_S + 1)
        await looked(issuer, clock, 2)
        with pytest.raises(UnauthenticatedError, match="does not show"):
            gate.admit(token)


async def test_an_issuer_that_is_down_for_a_while_costs_nobody_anything():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        issuer.fails = True
        await clock.advance(oidc.REFRESH_S + 1)
        await looked(issuer, clock, 2)
        assert gate.admit(signed(claims(issuer, clock))).sub == "acme"


async def test_no_token_counts_for_longer_than_a_day():
    async with an_issuer() as (issuer, clock, gate):
        await looked(issuer, clock)
        token = signed(claims(issuer, clock, exp=int(clock.wall()) + 10 * MAX_LIFETIME_S))
        gate.admit(token)
        await clock.advance(MAX_LIFETIME_S + 10)
        with pytest.raises(UnauthenticatedError):
            gate.admit(token)


async def test_a_discovery_document_of_another_issuer_gives_no_keys():
    async with an_issuer() as (issuer, clock, gate):
        issuer.says = "https://evil.example"
        await clock.advance(1)
        await asyncio.sleep(0.1)
        with pytest.raises(UnreachableError):
            gate.admit(signed(claims(issuer, clock)))
        assert issuer.asked == 0


async def test_symmetric_and_odd_keys_are_left_out():
    async with an_issuer() as (issuer, clock, gate):
        secret = {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI", "kid": "h1"}
        enc = jwk(RSA_KEY, "enc", use="enc")
        issuer.keys = [secret, enc, {"kty": "RSA", "kid": "broken"}, 7, {}, jwk(RSA_KEY, "r1")]
        await looked(issuer, clock)
        assert gate.admit(signed(claims(issuer, clock))).sub == "acme"
        with pytest.raises(UnauthenticatedError):
            gate.admit(signed(claims(issuer, clock), kid="enc"))
        hmac_key = b"secretsecretsecretsecretsecret12"
        with pytest.raises(UnauthenticatedError):
            gate.admit(signed(claims(issuer, clock), hmac_key, "HS256", "h1"))


@pytest.mark.parametrize("url", ["http://issuer.example", "ftp://x", "issuer.example", ""])
def test_an_issuer_is_reached_safely_or_not_at_all(url):
    with pytest.raises(ValidationError):
        OidcIssuer(issuer=url, audience="x")
