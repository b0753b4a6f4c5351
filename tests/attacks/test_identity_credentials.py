"""Credentials that are forged, foreign, expired, revoked or larger than their role open nothing."""

import base64
import json
import socket
import time
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity import claims
from cloud_core.identity.authority import FOREVER, Authority, Holder
from cloud_core.identity.claims import Signer, User
from cloud_core.identity.roles import UPDATE
from edge_agent.bus.nats import connecting
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import Credentials
from edge_agent.identity.passport import Passport
from tests.grounds import SITE, connected, eventually, is_refused

pytestmark = pytest.mark.nats

TAGS = {"site": SITE, "tier": "edge", "parent": "cloud"}


def role_signer(ground, role: str) -> Signer:
    seed = (ground.authority.folder / "roles" / f"{role}.nk").read_text()
    return Signer(nkeys.private_key(seed, "A"), "A")


def a_user(ground, key: Ed25519PrivateKey, *, expires: float | None = None) -> User:
    public, account = nkeys.public_text(key, "U"), ground.authority.accounts.mesh
    return User("cam-1", public, account, TAGS, None if expires is None else int(expires))


def signed_by(ground, signer: Signer, *, expires: float | None = None) -> Credentials:
    key = Ed25519PrivateKey.generate()
    user = a_user(ground, key, expires=expires)
    return Credentials(claims.user(signer, user, now=int(time.time()) - 60), key)


async def test_what_the_role_s_key_has_signed_opens(ground):
    """Or the refusals below would say nothing."""
    assert not await is_refused(ground.site, signed_by(ground, role_signer(ground, "agent")))


async def test_a_stranger_s_signature_opens_nothing(ground):
    stranger = Signer(Ed25519PrivateKey.generate(), "A")
    assert await is_refused(ground.site, signed_by(ground, stranger))


async def test_another_mesh_s_credentials_open_nothing(ground, tmp_path):
    theirs = Authority.kept(tmp_path, time.time())
    cam = theirs.credentials(Holder("agent", "cam-1", SITE), tmp_path / "cam", now=time.time())
    assert await is_refused(ground.site, cam)


@pytest.mark.parametrize("role", ["resolver", "resolver-leaf"])
async def test_a_signer_of_the_other_account_opens_nothing(ground, role):
    assert await is_refused(ground.site, signed_by(ground, role_signer(ground, role)))


def tampered(jwt: str, **changes: object) -> str:
    head, body, signature = jwt.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    text = json.dumps(said | changes).encode()
    return f"{head}.{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize("changes", [{"name": "cam-2"}, {"exp": FOREVER}, {"iss": "AAAA"}])
async def test_a_changed_jwt_opens_nothing(ground, changes):
    mine = signed_by(ground, role_signer(ground, "agent"))
    assert await is_refused(ground.site, Credentials(tampered(mine.jwt, **changes), mine.key))


async def test_a_jwt_without_its_key_opens_nothing(ground):
    theirs = ground.holds("cloud", "cloud", "cloud", "cloud")

    class Thief:
        """Has seen the JWT, which is no secret, and signs with a key of his own."""

        jwt, inbox = theirs.jwt, theirs.inbox
        sign = Credentials(theirs.jwt, Ed25519PrivateKey.generate()).sign

    assert await is_refused(ground.hub, Thief)


async def test_permissions_of_one_s_own_open_nothing(ground):
    """A user under a scoped key may not carry any: the server refuses it, however it is signed."""
    key = Ed25519PrivateKey.generate()
    public, account = nkeys.public_text(key, "U"), ground.authority.accounts.mesh
    nats = {
        "issuer_account": account, "type": "user", "version": 2,
        "tags": [f"{name}:{value}" for name, value in TAGS.items()],
        "pub": {"allow": [">"]}, "sub": {"allow": [">"]}, "subs": -1, "data": -1, "payload": -1,
    }  # fmt: skip
    said = {"name": "cam-1", "sub": public, "nats": nats}
    jwt = claims._signed(role_signer(ground, "agent"), said, int(time.time()))  # noqa: SLF001
    assert await is_refused(ground.site, Credentials(jwt, key))


def test_a_connect_line_with_endless_permissions_is_cut_off(ground):
    with socket.create_connection(("127.0.0.1", ground.site), timeout=10) as stranger:
        stranger.sendall(b'CONNECT {"jwt": "' + b"A" * 100_000)
        with suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass
    assert "maximum control line exceeded" in (ground.folder / f"{SITE}.log").read_text().lower()


async def test_expired_credentials_open_nothing(ground):
    agent = role_signer(ground, "agent")
    assert await is_refused(ground.site, signed_by(ground, agent, expires=time.time() - 1))


async def test_a_connection_ends_when_its_credentials_do_and_comes_back_with_renewed_ones(
    ground, tmp_path
):
    holder, now = Holder("agent", "cam-renewed", SITE), time.time()
    path = tmp_path / "cam.creds"
    mine = ground.authority.credentials(holder, path, now=now, lifetime_s=2)
    passport = Passport.read(path)
    url = f"nats://127.0.0.1:{ground.site}"
    async with connecting(url, name="cam", passport=passport) as bus:
        assert bus.connected
        passport.replace(ground.authority.user_jwt(holder, mine.public, now=now, lifetime_s=600))
        before = bus._client.stats["reconnects"]  # noqa: SLF001
        await eventually(lambda: bus._client.stats["reconnects"] > before)  # noqa: SLF001
        await eventually(lambda: bus.connected)


def mesh_update(ground, revoked: dict[str, int]) -> bytes:
    return ground.authority.mesh_jwt(revoked, time.time()).encode()


async def test_the_revoked_are_disconnected_within_a_second_at_hub_and_site(ground):
    cams = [signed_by(ground, role_signer(ground, "agent")) for _ in range(2)]
    resolver = ground.holds("resolver", "cloud", "cloud", "cloud")
    async with (
        connected(ground.hub, cams[0]) as at_hub,
        connected(ground.site, cams[1]) as at_site,
        connected(ground.site, ground.holds("agent", "bystander")) as bystander,
        connected(ground.hub, resolver) as system,
    ):
        revoked = {cam.public: FOREVER for cam in cams}
        await system.client.publish(UPDATE, mesh_update(ground, revoked))
        await eventually(lambda: at_hub.client.is_closed and at_site.client.is_closed, within_s=1)
        assert not bystander.client.is_closed
    for port in (ground.hub, ground.site):
        assert await is_refused(port, cams[0])


async def test_a_revocation_outlives_a_restart_of_the_server(ground):
    cam = signed_by(ground, role_signer(ground, "agent"))
    resolver = ground.holds("resolver", "cloud", "cloud", "cloud")
    async with connected(ground.hub, cam) as at_hub, connected(ground.hub, resolver) as system:
        await system.client.publish(UPDATE, mesh_update(ground, {cam.public: FOREVER}))
        await eventually(lambda: at_hub.client.is_closed)
    ground.stop("hub")
    ground.start("hub")
    assert await is_refused(ground.hub, cam)


@pytest.mark.parametrize("signer", ["stranger", "operator"])
async def test_an_account_that_the_signing_key_has_not_signed_is_not_believed(ground, signer):
    """Not even the operator's own key signs accounts: it is to stay where nobody is connected."""
    key = Ed25519PrivateKey.generate()
    if signer == "operator":
        key = nkeys.private_key((ground.authority.folder / "operator.nk").read_text(), "O")
    cam = signed_by(ground, role_signer(ground, "agent"))
    account = ground.authority._mesh({cam.public: FOREVER})  # noqa: SLF001
    jwt = claims.account(Signer(key, "O"), account, now=int(time.time()) + 5)
    resolver = ground.holds("resolver", "cloud", "cloud", "cloud")
    async with connected(ground.hub, cam) as party, connected(ground.hub, resolver) as system:
        await system.client.publish(UPDATE, jwt.encode())
        await system.settled()
        await party.settled()
        assert not party.client.is_closed


@pytest.mark.parametrize("role", ["agent", "site", "cloud", "operator"])
async def test_nobody_in_the_mesh_s_account_reaches_the_system(ground, role):
    async with connected(ground.hub, ground.holds(role, "sly", SITE)) as party:
        await party.says(UPDATE, b"")
        assert "permissions violation" in party.refused[0]


def as_leaf(port: int, credentials: Credentials) -> bytes:
    """What the leaf port says to these credentials."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        stream = link.makefile("rwb")
        info = json.loads(stream.readline().removeprefix(b"INFO "))
        said = {
            "jwt": credentials.jwt, "sig": credentials.sign(info["nonce"]).decode(),
            "version": "2.15.1", "name": "leaf", "server_id": "N" * 56, "headers": True,
        }  # fmt: skip
        stream.write(b"CONNECT " + json.dumps(said).encode() + b"\r\nPING\r\n")
        stream.flush()
        words = b""
        while b"ERR" not in words and b"PONG" not in words:
            line = stream.readline()
            if not line:
                break
            words += line
        return words


def test_an_agent_s_credentials_make_no_leaf_node(ground):
    assert b"PONG" in as_leaf(ground.leaf, ground.holds("leaf", "site-9", "site-9"))
    assert b"PONG" not in as_leaf(ground.leaf, ground.holds("agent", "cam-1"))


async def test_a_leaf_node_s_credentials_make_no_client(ground):
    assert await is_refused(ground.hub, ground.holds("leaf", SITE))
