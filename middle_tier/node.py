"""One site's process, put together: bus, own node, router, gate, way to the parent. Nothing else.

What each part does is its own module's business; here is who gets which other, and in what order
they come and go. On the way out: no more queries are taken, what is under way is finished, the own
node drains and leaves.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from secrets import randbits, token_hex

from edge_agent import agent
from edge_agent.agent import Agent
from edge_agent.audit import Audit
from edge_agent.bundles.store import Store
from edge_agent.bus import nats
from edge_agent.bus.base import Bus
from edge_agent.bus.kv import Buckets, Entry
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.bus.streams import Streams
from edge_agent.clock import Clock, SystemClock
from edge_agent.identity.passport import read as read_passport
from edge_agent.profiler import Profiles
from middle_tier import desired
from middle_tier import router as routers
from middle_tier.audited import audited
from middle_tier.config import SiteConfig
from middle_tier.desired import NO_MORE, Desired
from middle_tier.gate import Gate, read_keys
from middle_tier.http.door import opened
from middle_tier.http.ingress import Limits, serving
from middle_tier.http.policies import PolicyRoutes
from middle_tier.http.replay import Replays
from middle_tier.http.tally import Tally
from middle_tier.http.webroutes import Route
from middle_tier.joined import JoinedBus
from middle_tier.natively import Natively
from middle_tier.policy.kept import Policies
from middle_tier.register import BUCKET, Register
from middle_tier.router import Router
from middle_tier.routing.routes import Routes
from middle_tier.stocked import Stock, mirrored
from middle_tier.summary import Place, summarise
from middle_tier.uplink import uplinked
from middle_tier.usage.ledger import Ledger
from middle_tier.usage.metering import Meter, metering
from middle_tier.usage.route import UsageRoute
from middle_tier.view import View
from protocol.adverts import SiteCapacity
from protocol.errors import BadRequestError, DecodeError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes that a gate has beside every gate's may use."""

    router: Router
    gate: Gate
    desired: Desired
    meter: Meter
    streams: Streams | None
    """None: there is no NATS server."""
    replays: Replays
    """What tenants have asked of late, by whichever way."""


Extra = Callable[[Parts], Sequence[Route]]
"""Makes those routes."""


@dataclass(frozen=True, slots=True)
class SiteNode:
    """A site that runs."""

    config: SiteConfig
    url: str
    """Of its gate."""
    router: Router
    gate: Gate
    desired: Desired

    @property
    def view(self) -> View:
        return self.router.view


@asynccontextmanager
async def running(
    config: SiteConfig,
    *,
    clock: Clock | None = None,
    store: Store | None = None,
    extra: Extra | None = None,
    audit: Audit | None = None,
    follows: Mapping[str, int] = NO_MORE,
) -> AsyncIterator[SiteNode]:
    """Run the site until the block ends.

    `store` is what the own node serves, where that is not what its configuration names; `follows`
    are buckets of desired state beside every gate's, and the history of each. Raises
    `BadRequestError` for a key file that cannot be read, `OSError` for a port that is taken.
    """
    clock = clock or SystemClock()
    gate = _gate(config, clock)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        door = stack.enter_context(opened(config.host, config.port, tls=config.tls))
        bus, buckets, streams = await enter(_bus(config))
        wanted = await enter(_desired(config, buckets, clock, follows))
        meter = _meter(config, gate, clock)
        _registering(gate, wanted)
        await enter(metering(meter, streams if config.parent else None))
        kept = await enter(audited(config, gate, audit, streams, clock))
        own = await enter(_own_node(config, bus, clock, store, kept, wanted))
        router = _router(config, bus, clock, own)
        below = config.parent is None if config.accepts_sites is None else config.accepts_sites
        await enter(
            routers.running(
                router, below=below, drain_s=config.drain_s, clone_after_s=config.clone_after_s
            )
        )
        _seen(own, router)
        parts = Parts(
            router, gate, wanted, meter, streams, Replays(clock, asyncio.get_running_loop())
        )  # fmt: skip
        routes = _routes(config, parts, extra, kept)
        url = await enter(
            serving(
                router, gate, door=door, extra_routes=routes, clock=clock,
                limits=Limits(grace_s=config.drain_s), tally=meter.tally,
                replays=parts.replays,
            )
        )  # fmt: skip
        await enter(_uplinked(config, router))
        await enter(_answering(parts))
        log.info("%s is ready at %s", config.site, url)
        yield SiteNode(config, url, router, gate, wanted)
        log.info("%s stops", config.site)


@asynccontextmanager
async def _bus(config: SiteConfig) -> AsyncIterator[tuple[Bus, Buckets, Streams | None]]:
    """The own node by memory; all others, and desired state, by NATS, where there is one."""
    if config.nats_url is None:
        yield MemoryBus(MemoryNetwork()), MemoryBuckets(), None
        return
    name, passport = f"site {config.site}", read_passport(config.nats_credentials)
    async with nats.connecting(
        config.nats_url, name=name, passport=passport, ca=config.nats_ca
    ) as far:
        domain = config.desired_domain
        yield JoinedBus(far), far.buckets(domain), far.streams(domain)


def _seen(own: Agent | None, router: Router) -> None:
    """Its first advert came before anybody listened."""
    if own is None:
        return
    now = router.clock.now()
    router.view.advert(own.capacity(), now)
    router.view.describe(own.description(), now)


def _meter(config: SiteConfig, gate: Gate, clock: Clock) -> Meter:
    """Count on from where the file has got to; the day's budgets too."""
    ledger = Ledger(config.usage_file, clock.wall())
    meter = Meter(Tally(clock.wall()), ledger, clock, site=config.site)
    gate.name = meter.name
    spent = [one for one in ledger.spent(meter.today) if one.gate == meter.name]
    gate.spent_before = {one.tenant: one.usd for one in spent}
    return meter


def _routes(
    config: SiteConfig, parts: Parts, extra: Extra | None, audit: Audit
) -> tuple[Route, ...]:
    scope = "the whole mesh" if config.parent is None else f"the gate of {config.site}"
    usage = UsageRoute(parts.meter, parts.gate, scope=scope).routes()
    return (*_ruled(config, parts, audit), *usage, *(extra(parts) if extra is not None else ()))


def _desired(
    config: SiteConfig, buckets: Buckets, clock: Clock, more: Mapping[str, int]
) -> AbstractAsyncContextManager[Desired]:
    top = config.parent is None
    return desired.following(buckets, config.desired_dir, clock, top=top, more=more)


def _ruled(config: SiteConfig, parts: Parts, audit: Audit) -> Sequence[Route]:
    """Have the router go by the policy, whichever is in force; return the routes to it."""
    router = parts.router
    enforce = partial(setattr, router, "policy")
    policies = Policies(parts.desired, config.policy, enforce, clock=router.clock, audit=audit)
    return PolicyRoutes(policies, parts.gate, top=config.parent is None).routes()


def _registering(gate: Gate, wanted: Desired) -> None:
    """Have the gate go by the mesh's tenants, where it has a register of them."""
    if gate.register is not None:
        wanted.mirror(BUCKET).on_change(partial(_registered, gate.register))


def _registered(register: Register, entry: Entry) -> None:
    try:
        register.put(entry.key, entry.value)
    except DecodeError as error:
        log.error("%s; what it said before stands", error)  # noqa: TRY400  # values are not for logs


@asynccontextmanager
async def _own_node(
    config: SiteConfig, bus: Bus, clock: Clock, store: Store | None, audit: Audit, wanted: Desired
) -> AsyncIterator[Agent | None]:
    """The node in this process, if any; and the mirror, unless `store` is all there is."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        stock = Stock(store) if store is not None else await enter(
            mirrored(config, bus, clock, audit, wanted)
        )  # fmt: skip
        own, started = config.agent, None
        if own is not None:
            profiles = Profiles(own.state_dir / "profiles")
            running_agent = agent.running(own, bus, clock, stock.store, profiles=profiles)
            started = await enter(running_agent)
            started.update_wanted = stock.look
            started.audited(audit)
        await enter(stock.keeping(started.restock if started is not None else _passed_over))
        yield started


@asynccontextmanager
async def _answering(parts: Parts) -> AsyncIterator[None]:
    """Take queries of other routers, and of tenants with an account of NATS."""
    router, gate = parts.router, parts.gate
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Routes(router).open())
        if gate.register is not None and parts.streams is not None:
            tally, clock = parts.meter.tally, router.clock
            natively = Natively(router.bus, router, gate, tally, clock, replays=parts.replays)
            await stack.enter_async_context(natively.open())
        yield


def _passed_over(_: Store) -> None:
    """Nobody here runs what is mirrored."""


def _router(config: SiteConfig, bus: Bus, clock: Clock, own: Agent | None) -> Router:
    view = View(config.site, tier=config.tier)
    router = Router(
        bus, clock, view, config.policy, site=config.site, parent=config.parent,
        seed=randbits(32), near={} if own is None else {own.subject: own},
    )  # fmt: skip
    if router.parent is not None:
        router.parent.mbps = config.parent_mbps
    return router


@asynccontextmanager
async def _uplinked(config: SiteConfig, router: Router) -> AsyncIterator[None]:
    parent = router.parent
    if parent is None:
        yield
        return
    boot, sequence = token_hex(8), count(1)

    def news() -> SiteCapacity:
        place = Place(config.site, boot, next(sequence), parent.link, parent.mbps, config.summary_s)
        return summarise(router.view, place, router.clock.now())

    async with uplinked(
        router.bus, router.clock, parent, summary=news,
        cut=lambda: router.lost(parent.site), period_s=config.summary_s,
    ):  # fmt: skip
        yield


def _gate(config: SiteConfig, clock: Clock) -> Gate:
    if config.no_auth:
        return Gate({}, clock, open_tenant="local")
    assert config.keys is not None  # noqa: S101  # the configuration has been checked
    try:
        register = Register() if config.registered_only else None
        return Gate(read_keys(config.keys.read_bytes()), clock, register=register)
    except OSError as error:
        raise BadRequestError(
            f"{config.keys}: cannot be read: {error.strerror}", "mend 'keys' in the configuration"
        ) from error
    except BadRequestError as error:
        raise BadRequestError(f"{config.keys}: {error.error}", error.hint) from error
