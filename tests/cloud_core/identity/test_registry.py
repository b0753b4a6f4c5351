"""Who joins, who is taken out, and what is kept of it. Over NATS this is tried in tests/attacks."""

from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity.authority import FOREVER, Authority
from cloud_core.identity.provisioned import Provisioned, read_provisioned, write_provisioned
from cloud_core.identity.registry import BUCKET, LIFETIME_S, Kept, Registry, TokenWanted
from cloud_core.identity.roll import FORGET_S
from edge_agent.audit import Remembered
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.clock import ManualClock
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import claims_of, tags_of
from edge_agent.identity.enrolment import asking, ticket
from protocol.errors import BadRequestError, ConflictError, ForbiddenError, UnknownError
from protocol.identity import Renew, enrolment, renewal

WANTED = TokenWanted(site="site-1", tier="edge")


class Office:
    """A registry, and everything that it is made of."""

    def __init__(self, folder):
        self.clock = ManualClock()
        self.audit = Remembered()
        self.buckets = MemoryBuckets()
        self.authority = Authority.kept(folder, self.clock.wall())
        self.told = 0

    @asynccontextmanager
    async def open(self):
        bucket = await self.buckets.bucket(BUCKET)
        kept = Kept(bucket, self.authority, self.audit, self.clock)
        yield Registry(kept, self._tell)

    def _tell(self):
        self.told += 1


@pytest.fixture
def office(tmp_path) -> Office:
    return Office(tmp_path)


def a_device(token: str, node: str = "cam-1", key: Ed25519PrivateKey | None = None):
    return asking(node, ticket(token), key or Ed25519PrivateKey.generate())


async def test_a_device_waits_for_approval_and_then_is_what_its_token_said(office):
    async with office.open() as registry:
        asked = a_device(await registry.issue(WANTED, "ann"))
        assert (await registry.enrol(asked)).state == "pending"
        await registry.change("site-1", "cam-1", "approve", "ann")
        answer = await registry.enrol(asked)
        assert claims_of(answer.jwt)["sub"] == asked.device
        assert tags_of(answer.jwt) == {"site": "site-1", "tier": "edge", "parent": "cloud"}


async def test_a_token_that_approves_makes_a_device_active_at_once(office):
    async with office.open() as registry:
        wanted = WANTED.model_copy(update={"approved": True})
        assert (await registry.enrol(a_device(await registry.issue(wanted, "ann")))).jwt


async def test_a_token_is_used_up_by_as_many_devices_as_it_says(office):
    async with office.open() as registry:
        token = await registry.issue(WANTED.model_copy(update={"uses": 2}), "ann")
        first = a_device(token, "cam-1")
        await registry.enrol(first)
        await registry.enrol(first)  # it asks again and again until it is approved
        await registry.enrol(a_device(token, "cam-2"))
        with pytest.raises(ForbiddenError, match="used up"):
            await registry.enrol(a_device(token, "cam-3"))


async def test_a_token_ends(office):
    async with office.open() as registry:
        token = await registry.issue(WANTED.model_copy(update={"ttl_s": 60.0}), "ann")
        await office.clock.advance(61)
        with pytest.raises(ForbiddenError, match="expired"):
            await registry.enrol(a_device(token))


async def test_a_token_that_was_never_issued_lets_nobody_in(office, tmp_path):
    elsewhere = Office(tmp_path / "elsewhere")
    async with office.open() as registry, elsewhere.open() as other:
        token = await other.issue(WANTED, "mallory")
        with pytest.raises(ForbiddenError, match="not known"):
            await registry.enrol(a_device(token))


async def test_who_has_seen_an_enrolment_cannot_make_another_of_it(office):
    """Neither for another name, nor for a key that the device never had."""
    async with office.open() as registry:
        asked = a_device(await registry.issue(WANTED, "ann"))
        mine = nkeys.public_text(Ed25519PrivateKey.generate(), "U")
        for change in ({"node": "cam-2"}, {"device": mine}):
            with pytest.raises(ForbiddenError, match="not signed"):
                await registry.enrol(asked.model_copy(update=change))
        assert registry.identities == []


async def test_a_device_has_the_key_that_it_names(office):
    """Its token may be good: somebody else's key is still not to be enrolled under its name."""
    async with office.open() as registry:
        opener = ticket(await registry.issue(WANTED, "ann"))
        theirs = nkeys.public_text(Ed25519PrivateKey.generate(), "U")
        vouched = nkeys.signed(opener.key, enrolment("cam-1", theirs))
        asked = asking("cam-1", opener, Ed25519PrivateKey.generate())
        with pytest.raises(ForbiddenError, match="not signed"):
            await registry.enrol(asked.model_copy(update={"device": theirs, "by_token": vouched}))


async def test_a_name_that_is_taken_is_refused_until_its_owner_is_revoked(office):
    async with office.open() as registry:
        await registry.enrol(a_device(await registry.issue(WANTED, "ann")))
        again = a_device(await registry.issue(WANTED, "ann"))
        with pytest.raises(ConflictError, match="has a node cam-1 already"):
            await registry.enrol(again)
        await registry.change("site-1", "cam-1", "revoke", "ann")
        assert (await registry.enrol(again)).state == "pending"


async def test_a_revoked_device_gets_nothing_more_and_servers_are_told(office):
    async with office.open() as registry:
        wanted = WANTED.model_copy(update={"approved": True})
        key = Ed25519PrivateKey.generate()
        asked = a_device(await registry.issue(wanted, "ann"), key=key)
        jwt = (await registry.enrol(asked)).jwt
        await registry.change("site-1", "cam-1", "revoke", "ann")
        assert office.told == 1
        assert claims_of(registry.mesh_jwt())["nats"]["revocations"] == {asked.device: FOREVER}
        assert (await registry.enrol(asked)).jwt is None
        renewed = await registry.renew(a_renewal(key, jwt))
        assert (renewed.state, renewed.jwt) == ("revoked", None)


async def barred(registry, node):
    asked = a_device(await registry.issue(WANTED.model_copy(update={"node": node}), "ann"), node)
    await registry.enrol(asked)
    await registry.change("site-1", node, "revoke", "ann")
    return registry.mesh_jwt()


async def test_servers_are_told_the_same_until_somebody_else_is_barred(office):
    async with office.open() as registry:
        nobody = registry.mesh_jwt()
        await office.clock.advance(60)
        assert registry.mesh_jwt() == nobody  # a new one loses replies that are on their way
        one = await barred(registry, "cam-1")
        assert one != nobody
        await office.clock.advance(60)
        assert registry.mesh_jwt() == one


async def test_of_two_of_one_second_the_last_is_told_again_as_a_newer_one(office):
    async with office.open() as registry:
        await barred(registry, "cam-1")
        both = await barred(registry, "cam-2")
        assert registry.mesh_jwt() == both
        await office.clock.advance(10)
        newer = registry.mesh_jwt()
        assert claims_of(newer)["iat"] > claims_of(both)["iat"]
        await office.clock.advance(10)
        assert registry.mesh_jwt() == newer


async def test_a_key_is_named_to_servers_for_longer_than_a_jwt_lives(office):
    async with office.open() as registry:
        asked = a_device(await registry.issue(WANTED, "ann"))
        await registry.enrol(asked)
        await registry.change("site-1", "cam-1", "revoke", "ann")
        await office.clock.advance(LIFETIME_S + 1)
        assert asked.device in claims_of(registry.mesh_jwt())["nats"]["revocations"]
        await office.clock.advance(FORGET_S)
        assert "revocations" not in claims_of(registry.mesh_jwt())["nats"]


def a_renewal(key: Ed25519PrivateKey, jwt: str) -> Renew:
    device, jwt_id = nkeys.public_text(key, "U"), str(claims_of(jwt)["jti"])
    proof = nkeys.signed(key, renewal(device, jwt_id))
    return Renew(device=device, id=jwt_id, by_device=proof)


async def test_renewal_gives_an_active_device_a_later_end(office):
    async with office.open() as registry:
        key = Ed25519PrivateKey.generate()
        wanted = WANTED.model_copy(update={"approved": True})
        first = (await registry.enrol(a_device(await registry.issue(wanted, "ann"), key=key))).jwt
        await office.clock.advance(1000)
        second = (await registry.renew(a_renewal(key, first))).jwt
        assert claims_of(second)["exp"] == claims_of(first)["exp"] + 1000


async def test_renewal_needs_the_device_s_own_signature(office):
    async with office.open() as registry:
        key = Ed25519PrivateKey.generate()
        wanted = WANTED.model_copy(update={"approved": True})
        jwt = (await registry.enrol(a_device(await registry.issue(wanted, "ann"), key=key))).jwt
        forged = a_renewal(key, jwt).model_copy(update={"by_device": "A" * 86})
        with pytest.raises(ForbiddenError, match="not signed"):
            await registry.renew(forged)
        with pytest.raises(ForbiddenError, match="not enrolled"):
            await registry.renew(a_renewal(Ed25519PrivateKey.generate(), jwt))


async def test_a_cloned_device_is_quarantined_once_and_can_come_back(office):
    async with office.open() as registry:
        wanted = WANTED.model_copy(update={"approved": True})
        asked = a_device(await registry.issue(wanted, "ann"))
        await registry.enrol(asked)
        for _ in range(2):
            await registry.cloned("site-1", "cam-1", "heard as a and b")
        assert office.told == 1
        assert registry.identities[0].state == "quarantined"
        assert asked.device in claims_of(registry.mesh_jwt())["nats"]["revocations"]
        await registry.change("site-1", "cam-1", "approve", "ann")
        assert "revocations" not in claims_of(registry.mesh_jwt())["nats"]


async def test_nobody_is_quarantined_who_was_never_enrolled(office):
    async with office.open() as registry:
        await registry.cloned("site-1", "cam-1", "heard twice")
        with pytest.raises(UnknownError, match="no identity cam-1 in site-1"):
            await registry.change("site-1", "cam-1", "revoke", "ann")


async def test_every_step_is_audited_and_no_secret_with_it(office):
    async with office.open() as registry:
        token = await registry.issue(WANTED, "ann")
        await registry.enrol(a_device(token))
        await registry.change("site-1", "cam-1", "approve", "ann")
        await registry.change("site-1", "cam-1", "revoke", "bob")
    kinds = [(kind, fields["actor"]) for kind, fields in office.audit.entries]
    assert kinds == [
        ("enrolment-token", "ann"), ("enrolled", "ann"),
        ("identity-approve", "ann"), ("identity-revoke", "bob"),
    ]  # fmt: skip
    jwt, _, seed = token.partition("~")
    assert not [secret for secret in (jwt, seed) if secret in str(office.audit.entries)]


async def test_what_a_new_process_finds_is_what_the_old_one_wrote(office):
    async with office.open() as registry:
        await registry.enrol(a_device(await registry.issue(WANTED, "ann")))
    async with office.open() as registry, registry.following():
        await office.clock.advance(1)
        assert [one.node for one in registry.identities] == ["cam-1"]


async def test_servers_are_told_of_nobody_before_all_who_are_barred_are_known(office):
    async with office.open() as registry:
        await registry.enrol(a_device(await registry.issue(WANTED, "ann")))
        await registry.change("site-1", "cam-1", "reject", "ann")
    async with office.open() as registry:
        assert registry.told() == ()
        await registry.read()
        (jwt,) = registry.told()
        assert list(claims_of(jwt)["nats"]["revocations"]) == [
            one.device for one in registry.identities
        ]


async def test_given_credentials_are_entered_once(office, tmp_path):
    public = nkeys.public_text(Ed25519PrivateKey.generate(), "U")
    path = tmp_path / "provisioned.json"
    write_provisioned(path, [Provisioned(public=public, node="edge-1", site="site-1", tier="edge")])
    async with office.open() as registry:
        await registry.provide(read_provisioned(path))
        await registry.change("site-1", "edge-1", "revoke", "ann")
        await registry.provide(read_provisioned(path))
        assert [one.state for one in registry.identities] == ["revoked"]
    path.write_text("[{}]")
    with pytest.raises(BadRequestError, match="not a list of identities"):
        read_provisioned(path)


@pytest.mark.parametrize("change", [{"uses": 0}, {"ttl_s": 0.0}, {"ttl_s": 1e9}])
async def test_a_token_without_measure_is_not_issued(office, change):
    async with office.open() as registry:
        with pytest.raises(ConflictError):
            await registry.issue(WANTED.model_copy(update=change), "ann")
