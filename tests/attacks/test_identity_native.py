"""A tenant that connects to NATS with an account of its own: the server says who asks."""

import base64
import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity import claims
from cloud_core.identity.authority import QUERIES
from cloud_core.identity.claims import Account, Signer, User
from cloud_core.identity.roles import TENANT, UPDATE
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import Credentials
from tests.grounds import connected

pytestmark = pytest.mark.nats


class Tenant:
    """Has an account's key and a signing key; what the mesh signs is the account."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.public = nkeys.public_text(Ed25519PrivateKey.generate(), "A")
        self.signer = Signer(Ed25519PrivateKey.generate(), "A")

    def user(self) -> Credentials:
        key, tags = Ed25519PrivateKey.generate(), {"site": self.name}
        said = User("app", nkeys.public_text(key, "U"), self.public, tags)
        return Credentials(claims.user(self.signer, said, now=int(time.time())), key)


async def told_of(ground, tenant: Tenant) -> None:
    """Have the hub know the tenant's account."""
    jwt = ground.authority.tenant_jwt(tenant.name, tenant.public, tenant.signer.public, time.time())
    async with connected(ground.hub, ground.holds("resolver", "cloud", "cloud", "cloud")) as system:
        await system.client.request(UPDATE, jwt.encode())


async def test_a_tenant_asks_under_the_name_that_the_server_gives_it(ground):
    acme = Tenant("acme")
    await told_of(ground, acme)
    asked = []
    async with (
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
        connected(ground.hub, acme.user()) as app,
    ):

        async def answers(message) -> None:
            asked.append(message.subject)
            await message.respond(b"seven")

        await cloud.client.subscribe(f"{QUERIES}.*", cb=answers)
        await cloud.settled()
        answer = await app.client.request("tiermesh.ask", b"", timeout=5)
        assert answer.data == b"seven"
        assert asked == [f"{QUERIES}.{acme.public}"]


async def test_a_tenant_asks_as_nobody_else_and_reaches_nothing_else(ground):
    acme, other = Tenant("acme"), Tenant("other")
    await told_of(ground, acme)
    await told_of(ground, other)
    async with (
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
        connected(ground.hub, acme.user()) as app,
    ):
        await cloud.listens("tm.v1.*.>")
        subjects = (f"{QUERIES}.{other.public}", "tm.v1.route.cloud", "tm.v1.sum.acme")
        for subject in subjects:
            await app.says(subject)
        assert cloud.heard == []
        assert len(app.refused) == len(subjects)


async def test_an_account_that_imports_anothers_name_asks_nobody(ground):
    """Were the mesh itself to sign such an account by mistake, the server would not have it."""
    mallory, victim = Tenant("mallory"), Tenant("victim")
    signed = ground.authority.tenant_jwt(mallory.name, mallory.public, mallory.signer.public, 0)
    body = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
    imported = {**body["nats"]["imports"][0], "subject": f"{QUERIES}.{victim.public}"}
    said = Account("mallory", mallory.public, {mallory.signer.public: TENANT}, imports=(imported,))
    seed = (ground.folder / "identity" / "signing.nk").read_text()
    jwt = claims.account(Signer(nkeys.private_key(seed, "O"), "O"), said, now=int(time.time()))
    async with connected(ground.hub, ground.holds("resolver", "cloud", "cloud", "cloud")) as system:
        await system.client.request(UPDATE, jwt.encode())
    async with (
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
        connected(ground.hub, mallory.user()) as app,
    ):
        await cloud.listens(f"{QUERIES}.*")
        await app.says("tiermesh.ask")
        assert cloud.heard == []
