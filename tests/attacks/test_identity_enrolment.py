"""Devices that join over real servers, and those that try to: the cloud's service answers."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity.registry import BUCKET, Kept, Registry, TokenWanted
from cloud_core.identity.resolver import Resolver
from cloud_core.identity.service import Service
from edge_agent.audit import Remembered
from edge_agent.bus.nats import NatsBus, connecting
from edge_agent.clock import SystemClock
from edge_agent.identity.credentials import Credentials
from edge_agent.identity.enrolment import Joining, asking, enrolled, renew, ticket
from edge_agent.identity.passport import Passport
from middle_tier.refused import recorded
from middle_tier.routing.ears import Ears
from middle_tier.view import View
from protocol.adverts import Capacity
from protocol.codec import Frame
from protocol.errors import ForbiddenError, UnreachableError, UntrustedError
from protocol.identity import Cloned
from protocol.messages import Done
from protocol.subjects import AdvertSubject
from tests.grounds import SITE, Grounds, connected, eventually, is_refused

pytestmark = pytest.mark.nats

WANTED = TokenWanted(site=SITE, tier="edge", approved=True)


@dataclass
class Cloud:
    """What answers at the hub."""

    ground: Grounds
    registry: Registry
    bus: NatsBus
    audit: Remembered

    async def token(self, **changes) -> str:
        return await self.registry.issue(WANTED.model_copy(update=changes), "ann")

    async def joins(self, folder, token: str, node: str, *, port: int = 0) -> Credentials:
        """What `tiermesh-agent enrol` does, at the site's server unless it is another's."""
        url = f"nats://127.0.0.1:{port or self.ground.site}"
        joining = Joining(url, node, token, folder / node, folder / f"{node}.root")
        return await enrolled(joining, SystemClock())


@asynccontextmanager
async def a_cloud(ground: Grounds, root: bytes | None = None):
    clock, audit = SystemClock(), Remembered()
    ground.holds("cloud", "cloud", "cloud", "cloud")
    ground.holds("resolver", "cloud", "cloud", "cloud")
    passport = Passport.read(ground.path("cloud", "cloud", "cloud"))
    url, resolver = f"nats://127.0.0.1:{ground.hub}", Resolver(clock)
    async with connecting(url, name="cloud", passport=passport) as bus:
        bucket = await bus.buckets().bucket(BUCKET)
        kept = Kept(bucket, ground.authority, audit, clock, root=root)
        registry = Registry(kept, resolver.tell)
        service = Service(bus, registry)
        system = ground.path("resolver", "cloud", "cloud")
        async with (
            registry.following(),
            recorded(service.refused, audit, clock, "enrolment-refused", "devices"),
            service.open(),
            resolver.telling(url, system, None, lambda: (registry.mesh_jwt(),)),
        ):
            yield Cloud(ground, registry, bus, audit)


async def test_a_device_joins_at_its_site_with_a_key_of_its_own(ground, tmp_path):
    async with a_cloud(ground) as cloud:
        cam = await cloud.joins(tmp_path, await cloud.token(), "cam-a")
        assert not await is_refused(ground.site, cam)
        key = tmp_path / "cam-a.nk"
        assert key.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "cam-a").stat().st_mode & 0o777 == 0o600


async def test_a_device_joins_with_the_root_that_its_token_names(ground, tmp_path):
    async with a_cloud(ground, b"the root of bundles") as cloud:
        await cloud.joins(tmp_path, await cloud.token(), "cam-r")
        assert (tmp_path / "cam-r.root").read_bytes() == b"the root of bundles"


async def test_a_root_that_the_token_does_not_name_is_not_taken(ground, tmp_path):
    """Whoever answers at the hub sends another: nothing is kept, no credentials either."""
    async with a_cloud(ground, b"the root of bundles") as cloud:
        token = await cloud.token()
        kept = replace(cloud.registry._kept, root=b"another root")  # noqa: SLF001  # an impostor
        cloud.registry._kept = kept  # noqa: SLF001
        with pytest.raises(UntrustedError, match="not the one that the token names"):
            await cloud.joins(tmp_path, token, "cam-s")
        assert not (tmp_path / "cam-s").exists()
        assert not (tmp_path / "cam-s.root").exists()
        jwt, seed, _ = token.split("~")
        await cloud.joins(tmp_path, f"{jwt}~{seed}", "cam-s")  # a token without: no root is taken
        assert not (tmp_path / "cam-s.root").exists()


async def test_a_device_of_another_mesh_keeps_its_root(ground, tmp_path):
    (tmp_path / "cam-t.root").write_bytes(b"the root it has")
    async with a_cloud(ground, b"the root of bundles") as cloud:
        with pytest.raises(UntrustedError, match="another mesh"):
            await cloud.joins(tmp_path, await cloud.token(), "cam-t")
    assert (tmp_path / "cam-t.root").read_bytes() == b"the root it has"


async def test_a_replayed_token_lets_no_second_device_in(ground, tmp_path):
    async with a_cloud(ground) as cloud:
        token = await cloud.token()
        await cloud.joins(tmp_path, token, "cam-b")
        with pytest.raises(ForbiddenError, match="used up"):
            await cloud.joins(tmp_path, token, "cam-c")
        assert [one.node for one in cloud.registry.identities if one.node == "cam-c"] == []

        def refused() -> list[object]:
            entries = cloud.audit.entries
            return [said["error"] for kind, said in entries if kind == "enrolment-refused"]

        await eventually(refused)
        assert "used up" in str(refused())
        assert token not in str(cloud.audit.entries)


@pytest.mark.parametrize(
    "subject",
    [f"tm.v1.ad.edge.{SITE}.cam-d", f"tm.v1.evt.{SITE}.cam-d.up", "tm.v1.id.renew",
     f"tm.v1.blob.{SITE}", f"tm.v1.ask.{SITE}.cam-a"],
)  # fmt: skip
async def test_a_token_can_only_ask_to_join(ground, subject):
    async with a_cloud(ground) as cloud:
        opener = ticket(await cloud.token())
        async with connected(ground.site, opener) as party:
            await party.says(subject)
            assert "permissions violation" in party.refused[0]
            await party.listens(subject)
            assert "permissions violation" in party.refused[1]


async def test_a_token_that_has_ended_does_not_even_connect(ground):
    async with a_cloud(ground) as cloud:
        opener = ticket(await cloud.token(ttl_s=1.0))
        await asyncio.sleep(2.1)  # the server's clock decides, and has no other
        assert await is_refused(ground.site, opener)


async def test_a_token_names_the_site_and_the_device_cannot(ground, tmp_path):
    async with a_cloud(ground) as cloud:
        token = await cloud.token(site="site-2")
        cam = await cloud.joins(tmp_path, token, "cam-e", port=ground.hub)
        assert cam.site == "site-2"
        async with connected(ground.site, cam) as party:
            await party.says(f"tm.v1.ad.edge.{SITE}.cam-e")
            assert "permissions violation" in party.refused[0]


async def test_an_enrolment_that_was_overheard_is_worth_nothing_to_another(ground):
    """Whoever sits in the middle knows all that was said, and has a key of its own."""
    async with a_cloud(ground) as cloud:
        opener = ticket(await cloud.token())
        said = asking("cam-f", opener, Ed25519PrivateKey.generate())
        mine = asking("cam-f", opener, Ed25519PrivateKey.generate())
        forged = said.model_copy(update={"device": mine.device, "by_device": mine.by_device})
        answer = await cloud.bus.request("tm.v1.id.enrol", Frame(forged), 5)
        assert isinstance(answer.message, Done)
        assert "not signed by its token" in answer.message.detail


async def test_a_device_renews_and_a_revoked_one_is_gone_within_a_second(ground, tmp_path):
    async with a_cloud(ground) as cloud:
        await cloud.joins(tmp_path, await cloud.token(), "cam-g")
        passport = Passport.read(tmp_path / "cam-g")
        url = f"nats://127.0.0.1:{ground.site}"
        async with connecting(url, name="cam-g", passport=passport) as bus:
            await renew(passport, bus)
            assert Passport.read(tmp_path / "cam-g").jwt == passport.jwt
            await cloud.registry.change(SITE, "cam-g", "revoke", "ann")
            await eventually(lambda: not bus.connected, within_s=1)
            with pytest.raises(UnreachableError):
                await renew(passport, bus)
        assert await is_refused(ground.site, passport.credentials)


async def test_a_site_has_nobody_quarantined_that_is_another_s(ground, tmp_path):
    """On a subject of its own it may say whatever it likes: the two must agree."""
    async with a_cloud(ground) as cloud:
        await cloud.joins(tmp_path, await cloud.token(site="site-2"), "cam-i", port=ground.hub)
        ground.holds("site", SITE, tier="middle")
        passport = Passport.read(ground.path("site", SITE))
        async with connecting(f"nats://127.0.0.1:{ground.site}", name="x", passport=passport) as at:
            told = Cloned(site="site-2", node="cam-i", boots=("a", "b"), for_s=60.0)
            at.publish(f"tm.v1.evt.{SITE}.cam-i.cloned", Frame(told))
            await at.rtt_s()
            await asyncio.sleep(0.5)
        found = next(one for one in cloud.registry.identities if one.node == "cam-i")
        assert found.state == "active"


def an_advert(boot: str, sequence: int) -> Frame:
    said = {"node": "cam-h", "site": SITE, "tier": "edge", "hardware": "cpu"}
    return Frame(Capacity(**said, boot=boot, sequence=sequence))


async def test_a_cloned_device_is_noticed_at_its_site_and_shut_out(ground, tmp_path):
    """Two processes with one key, each with adverts of its own; in a fiftieth of the time."""
    async with a_cloud(ground) as cloud:
        cam = await cloud.joins(tmp_path, await cloud.token(), "cam-h")
        ground.holds("site", SITE, tier="middle")
        site = Passport.read(ground.path("site", SITE))
        url, passport = f"nats://127.0.0.1:{ground.site}", Passport(tmp_path / "cam-h", cam)
        async with (
            connecting(url, name="site", passport=site) as at_site,
            connecting(url, name="cam-h", passport=passport) as first,
            connecting(url, name="cam-h", passport=passport) as second,
            Ears(at_site, SystemClock(), View(SITE, tier="middle"), SITE, clone_after_s=0.4).open(
                below=False
            ),
        ):
            subject = str(AdvertSubject("edge", SITE, "cam-h"))
            for turn in range(100):
                for boot, bus in (("first", first), ("second", second)):
                    if bus.connected:
                        bus.publish(subject, an_advert(boot, turn))
                await asyncio.sleep(0.05)
                if not (first.connected or second.connected):
                    break
            found = next(one for one in cloud.registry.identities if one.node == "cam-h")
            assert found.state == "quarantined"
            assert "heard as" in found.detail
        assert await is_refused(ground.site, cam)
