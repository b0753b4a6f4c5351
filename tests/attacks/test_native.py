"""A tenant with an account of NATS, at a gate: who asks is what the server says, and no payload."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.cli.natives import minted
from cloud_core.identity.authority import CANCELS, QUERIES, Authority
from cloud_core.identity.claims import Signer
from cloud_core.identity.natives import Held, Natives
from cloud_core.identity.resolver import Resolver
from cloud_core.tenants import Tenants
from edge_agent.audit import Remembered
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.bus.nats import connecting
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.identity import nkeys
from edge_agent.identity.passport import Passport, keep
from middle_tier.gate import Gate
from middle_tier.http.replay import Replays
from middle_tier.http.tally import Tally
from middle_tier.native import SUBJECT, native
from middle_tier.natively import Natively
from middle_tier.register import READY, Register, Tenant
from protocol.codec import Frame
from protocol.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    OverBudgetError,
    UnauthenticatedError,
    UnknownError,
    UnreachableError,
)
from protocol.messages import Query, Want
from protocol.types import Tensor
from tests.grounds import connected, eventually, is_refused
from tests.middle_tier.echo import EchoRouter

pytestmark = pytest.mark.nats

X = {"x": np.ones((1, 4), np.float32)}


class Mesh:
    """A gate at the hub that answers natively, and the cloud that lets tenants in."""

    def __init__(self, ground, bus, resolver):
        self.ground = ground
        self.router = EchoRouter()
        self.register = Register()
        self.audit = Remembered()
        self.tally = Tally(0.0)
        clock = SystemClock()
        bucket = MemoryBuckets().at("tenants")
        authority = Authority.read(ground.folder / "identity")
        held = Held(bucket, self.register, authority, self.audit, clock)
        self.natives = Natives(held, resolver.tell)
        self.tenants = Tenants(bucket, self.register, self.audit, clock, key=None)
        self.tenants.leaving = self.natives.end
        quiet = ManualClock()
        self.gate = Gate({}, quiet, register=self.register)
        replays = Replays(quiet, asyncio.get_running_loop())
        self.natively = Natively(bus, self.router, self.gate, self.tally, quiet, replays=replays)

    async def give(self, name):
        """What `tiermesh tenants credentials` does; the file that it writes."""
        account = nkeys.public_text(Ed25519PrivateKey.generate(), "A")
        signer = Signer(Ed25519PrivateKey.generate(), "A")
        path = self.ground.folder / f"{name}-{account[:12]}.creds"
        keep(path, minted(name, account, signer, 3600.0))
        await self.natives.give(name, account, signer.public, "operator")
        return path, account

    async def let_in(self, name, **rights):
        await self.tenants.add(Tenant(name=name, **rights), "operator")
        return await self.give(name)

    def asking(self, path):
        """A client, as soon as the hub has been told."""
        return admitted(self.ground, path)


@asynccontextmanager
async def admitted(ground, path):
    credentials = Passport.read(path).credentials
    for _ in range(200):
        if not await is_refused(ground.hub, credentials):
            break
    async with native(f"nats://127.0.0.1:{ground.hub}", path) as client:
        yield client


@asynccontextmanager
async def a_mesh(ground):
    cloud = Passport.read(held(ground, "cloud"))
    url = f"nats://127.0.0.1:{ground.hub}"
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(connecting(url, name="cloud", passport=cloud))
        resolver = Resolver(SystemClock())
        made = Mesh(ground, bus, resolver)
        made.register.put(READY, b"{}")
        told = resolver.telling(url, held(ground, "resolver"), None, made.natives.jwts)
        await stack.enter_async_context(told)
        await stack.enter_async_context(made.natively.open())
        yield made


def with_a_mesh(test):
    """Have `test` run with a gate and a cloud of its own."""

    async def run(ground):
        async with a_mesh(ground) as mesh:
            await test(mesh)

    run.__doc__ = test.__doc__
    return run


def held(ground, role):
    ground.holds(role, "cloud", "cloud", "cloud")
    return ground.path(role, "cloud", "cloud")


@with_a_mesh
async def test_a_tenant_is_answered_over_nats_and_counted_as_over_http(mesh):
    path, _ = await mesh.let_in("acme", tiers=("edge",))
    async with mesh.asking(path) as client:
        result = await client.ask("double", X, latency_ms=500)
    assert result.output.tolist() == [[2.0] * 4]
    (query,) = mesh.router.queries
    assert (query.tenant, query.tiers, query.want.latency_ms) == ("acme", ("edge",), 500)
    assert mesh.tally.used()["acme"].met == 1
    assert [query.tenant for _, query in mesh.tally.asked] == ["acme"]  # what-if sees it too


@with_a_mesh
async def test_what_a_frame_says_of_who_asks_is_not_believed(mesh):
    await mesh.let_in("victim")
    path, _ = await mesh.let_in("liar", tiers=("edge",))
    query = Query(
        id="same", want=Want(task="double"), deadline_ms=1000, tenant="victim", hops=("site-9",),
        tiers=("cloud",), share=1000.0,
        inputs=(Tensor(name="x", datatype="FP32", shape=(1, 4)),),
    )  # fmt: skip
    async with mesh.asking(path) as client:
        reply = await client.bus.request(SUBJECT, Frame(query, (bytes(16),)), 5.0)
    assert reply.message.items[0].id == "same"
    (asked,) = mesh.router.queries
    assert (asked.tenant, asked.tiers, asked.hops) == ("liar", ("edge",), ())
    assert asked.share == 1.0
    assert asked.id != "same"
    assert "victim" not in mesh.tally.used()


@with_a_mesh
async def test_its_rights_and_its_budget_hold(mesh):
    path, _ = await mesh.let_in("small", tasks=("double",), budget={"queries_per_s": 2})
    async with mesh.asking(path) as client:
        with pytest.raises(ForbiddenError, match="does not cover that task"):
            await client.ask("secret", X)
        with pytest.raises(BadRequestError, match="shape"):
            await client.ask("double", {"x": np.ones((1, 5), np.float32)})
        with pytest.raises(BadRequestError, match="too long"):
            await client.ask("double", X, latency_ms=1e300, timeout_ms=1000.0)
        for _ in range(2):
            await client.ask("double", X)
        with pytest.raises(OverBudgetError, match="2 queries a second"):
            await client.ask("double", X)
    assert len(mesh.router.queries) == 2


@with_a_mesh
async def test_a_task_that_is_not_its_own_and_one_that_is_not_there_look_alike_enough(mesh):
    path, _ = await mesh.let_in("curious", tasks=("double",))
    async with mesh.asking(path) as client:
        with pytest.raises(ForbiddenError) as refused:
            await client.ask("nothing", X)
    assert "secret" not in str(refused.value)


@with_a_mesh
async def test_a_tenant_without_the_scope_to_ask_gets_nothing(mesh):
    path, _ = await mesh.let_in("reader", scopes=("read",))
    async with mesh.asking(path) as client:
        with pytest.raises(ForbiddenError, match="scope"):
            await client.ask("double", X)
    assert mesh.router.queries == []


@with_a_mesh
async def test_its_credentials_open_nothing_else(mesh):
    path, account = await mesh.let_in("nosy")
    other_path, other = await mesh.let_in("other")
    async with mesh.asking(path), mesh.asking(other_path):
        pass
    credentials = Passport.read(path).credentials
    cloud = mesh.ground.holds("cloud", "cloud", "cloud", "cloud")
    async with (
        connected(mesh.ground.hub, cloud) as listener,
        connected(mesh.ground.hub, credentials) as app,
    ):
        await listener.listens("tm.v1.*.>")
        publications = (
            f"{QUERIES}.{other}", f"{QUERIES}.{account}", f"{CANCELS}.{other}", "tm.v1.route.cloud",
            "tm.v1.evt.cloud.a.usage", "$JS.API.INFO", "$SYS.REQ.CLAIMS.UPDATE",
        )  # fmt: skip
        for subject in publications:
            await app.says(subject)
        subscriptions = (
            ">",
            "tm.v1.>",
            "tm.v1.ad.*.*.*",
            "$SYS.>",
            "tiermesh.ask",
            "tiermesh.cancel",
        )
        for subject in subscriptions:
            await app.listens(subject)
        await listener.says("tm.v1.sum.cloud")
    assert app.heard == []
    assert listener.heard == ["tm.v1.sum.cloud"]
    assert len(app.refused) == len(publications) + len(subscriptions)


@with_a_mesh
async def test_a_removed_tenant_is_cut_off_within_a_second_and_stays_so(mesh):
    path, _ = await mesh.let_in("gone")
    credentials = Passport.read(path).credentials
    async with mesh.asking(path):
        pass
    async with connected(mesh.ground.hub, credentials) as app:
        before = time.monotonic()
        await mesh.tenants.remove("gone", "operator")
        await eventually(lambda: not app.client.is_connected)
        assert time.monotonic() - before < 1.0
    assert await is_refused(mesh.ground.hub, credentials)
    await mesh.tenants.add(Tenant(name="gone"), "operator")
    assert await is_refused(mesh.ground.hub, credentials)


@with_a_mesh
async def test_a_gate_refuses_an_account_that_has_ended_though_its_server_has_not_heard(mesh):
    path, account = await mesh.let_in("late")
    async with mesh.asking(path) as client:
        await client.ask("double", X)
        ended = mesh.register.natives[account].model_copy(update={"ended": 1})
        mesh.register.put(f"native.{account}", ended.model_dump_json().encode())
        with pytest.raises(ForbiddenError, match="no tenant's"):
            await client.ask("double", X)


@with_a_mesh
async def test_new_credentials_end_the_old_ones(mesh):
    old, _ = await mesh.let_in("renewed")
    async with mesh.asking(old):
        pass
    new, _ = await mesh.give("renewed")
    async with mesh.asking(new) as client:
        await client.ask("double", X)
    assert await is_refused(mesh.ground.hub, Passport.read(old).credentials)


@with_a_mesh
async def test_an_account_is_no_header_of_http(mesh):
    path, account = await mesh.let_in("double-dealer")
    async with mesh.asking(path) as client:
        await client.ask("double", X)
    for header in (account, f"Bearer {account}"):
        with pytest.raises(UnauthenticatedError, match="token"):
            mesh.gate.admit(header)


@with_a_mesh
async def test_only_tenants_are_given_an_account_and_each_account_once(mesh):
    with pytest.raises(UnknownError):
        await mesh.give("nobody")
    _, account = await mesh.let_in("once")
    await mesh.tenants.add(Tenant(name="twice"), "operator")
    with pytest.raises(ConflictError):
        await mesh.natives.give("twice", account, account, "operator")
    kinds = [kind for kind, fields in mesh.audit.entries if fields.get("tenant") == "once"]
    assert kinds == ["tenant-add", "tenant-account"]


@with_a_mesh
async def test_concurrency_is_given_back_and_fairness_told(mesh):
    path, account = await mesh.let_in("one-at-a-time", budget={"concurrency": 1})
    mesh.router.gate = asyncio.Event()
    async with mesh.asking(path) as client:
        first = asyncio.create_task(client.ask("double", X, latency_ms=5000))
        await eventually(lambda: mesh.router.queries)
        with pytest.raises(OverBudgetError):
            await client.ask("double", X)
        mesh.router.gate.set()
        await first
        await client.ask("double", X)
    assert mesh.gate.native(account).accounts[0].running == 0


@with_a_mesh
async def test_whoever_asks_before_the_gate_has_heard_is_told_to_wait(mesh):
    path, _ = await mesh.let_in("early")
    async with mesh.asking(path) as client:
        mesh.register.heard = False
        with pytest.raises(UnreachableError, match="has not heard yet"):
            await client.ask("double", X)
        mesh.register.heard = True
