"""The cloud over its sites: every node of the mesh listed, any of them ordered; and its process.

The cloud is a site as any other (`middle_tier.node`). What HTTP makes of this is `front_door`'s.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cloud_core import spending
from cloud_core.audit.gathering import Gathering
from cloud_core.audit.log import AuditLog
from cloud_core.config import CloudConfig
from cloud_core.front_door import FrontDoor
from cloud_core.identity.authority import Authority
from cloud_core.identity.native_routes import NativeRoutes
from cloud_core.identity.natives import Held, Natives
from cloud_core.identity.registry import BUCKET as IDENTITIES
from cloud_core.identity.resolver import Resolver
from cloud_core.identity.routes import IdentityRoutes
from cloud_core.identity.service import Server, registry_of, serving
from cloud_core.issuer import SigningKey
from cloud_core.oidc import SignIn
from cloud_core.registry.renewing import renewing
from cloud_core.registry.store import RegistryStore
from cloud_core.registry.vault import OBJECTS, Vault
from cloud_core.tenant_routes import TenantRoutes
from cloud_core.tenants import Tenants, founded
from edge_agent.audit import Audit, Logged
from edge_agent.background import beside
from edge_agent.bundles.keeping import root_in
from edge_agent.bus.nats import connecting
from edge_agent.clock import Clock, SystemClock
from edge_agent.identity.passport import read as read_passport
from middle_tier import node
from middle_tier.announced import CATALOG
from middle_tier.desired import NO_MORE, Desired
from middle_tier.gate import Gate
from middle_tier.http.webroutes import Route
from middle_tier.node import Parts, SiteNode
from middle_tier.register import BUCKET, Register
from middle_tier.router import Router
from middle_tier.usage.metering import collecting
from protocol.adverts import NodeStatus, Roster, Survey
from protocol.codec import Frame
from protocol.errors import UnknownError, UnreachableError
from protocol.messages import Done, Order
from protocol.subjects import ControlSubject, RouteSubject

SURVEY_S = 2.0
"""Longest wait for a site's roster: for people, who see what is missing."""

ORDER_S = 5.0
"""Longest wait for a node to take an order (not to have carried it out)."""


@dataclass(frozen=True, slots=True)
class Census:
    """Every node that could be asked about."""

    nodes: tuple[NodeStatus, ...]
    silent: tuple[str, ...]
    """Sites that did not answer: their nodes are missing here."""


class Federation:
    """What operators see and do across sites, through one router."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def census(self) -> Census:
        """Ask each site below for its nodes; ours are known."""
        now = self._router.clock.now()
        sites = [status.summary.site for status in self._router.view.sites(now)]
        rosters = await asyncio.gather(*(self._roster(site) for site in sites))
        nodes = list(self._router.view.nodes(now))
        for roster in rosters:
            nodes.extend(roster.nodes if roster is not None else ())
        silent = [site for site, roster in zip(sites, rosters, strict=True) if roster is None]
        return Census(tuple(nodes), tuple(silent))

    async def order(self, site: str, node: str, verb: str, variant: str | None = None) -> Done:
        """Give a node an order; return what it says. Raises `UnknownError` when it does not listen.

        `verb` is one of `protocol.subjects.VERBS`; `load` and `evict` name a variant.
        """
        subject = str(ControlSubject(site, node, verb))
        try:
            frame = Frame(Order(variant=variant))
            reply = await self._router.bus.request(subject, frame, ORDER_S)
        except UnreachableError as error:
            raise UnknownError(f"no node {node} listens in {site}", "see GET /v1/nodes") from error
        if isinstance(reply.message, Done):
            return reply.message
        return Done(ok=False, detail=f"the node answered with {reply.message.kind}")

    async def _roster(self, site: str) -> Roster | None:
        try:
            subject = str(RouteSubject(site))
            reply = await self._router.bus.request(subject, Frame(Survey()), SURVEY_S)
        except UnreachableError:
            return None
        return reply.message if isinstance(reply.message, Roster) else None


@asynccontextmanager
async def running(config: CloudConfig) -> AsyncIterator[SiteNode]:
    """Run the cloud until the block ends."""
    clock = SystemClock()
    log = AuditLog(config.audit, clock) if config.audit is not None else None
    work: list[Coroutine[Any, Any, None]] = []
    served: list[AbstractAsyncContextManager[None]] = []

    def extra(parts: Parts) -> Sequence[Route]:
        routes = FrontDoor(Federation(parts.router), parts.router, parts.gate).routes()
        work.extend(_sign_in(config, parts.gate, clock))
        register, bucket = parts.gate.register, parts.desired.bucket(BUCKET)
        if parts.streams is not None:
            work.append(collecting(parts.meter, parts.streams, log or Logged()))
            if log is not None:
                work.append(Gathering(log, clock).gather(parts.streams))
        if register is None:
            return (*routes, *_identities(config, parts, log or Logged(), served))
        tenants = Tenants(bucket, register, log or Logged(), clock, key=_key(config))
        routes = (*routes, *_identities(config, parts, log or Logged(), served, tenants))
        work.append(_founded(tenants, config, parts.desired, clock))
        work.append(spending.telling(parts.meter, register, bucket, clock))
        return (*routes, *TenantRoutes(tenants, parts.gate, log).routes())

    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(
            node.running(
                config, extra=extra, clock=clock, audit=log or Logged(),
                follows={IDENTITIES: 1} if config.identity is not None else NO_MORE,
            )
        )  # fmt: skip
        await stack.enter_async_context(_bundled(config, site, clock, log or Logged()))
        for service in served:
            await stack.enter_async_context(service)
        for one in work:
            await stack.enter_async_context(beside(one, "cloud"))
        yield site


@asynccontextmanager
async def _bundled(
    config: CloudConfig, site: SiteNode, clock: Clock, audit: Audit
) -> AsyncIterator[None]:
    """Look after the repository of bundles until the block ends: its signatures and its bytes."""
    async with AsyncExitStack() as stack:
        if config.bundle_keys is not None and config.bundles:
            renewal = renewing(config.bundles[0], config.bundle_keys, clock, audit)
            await stack.enter_async_context(beside(renewal, "renew signatures"))
        if config.nats_url is not None and config.root is not None and config.bundles:
            passport = read_passport(config.nats_credentials)
            bus = await stack.enter_async_context(  # its own: no query waits behind large bytes
                connecting(config.nats_url, name="bundles", passport=passport, ca=config.nats_ca)
            )
            vault = Vault(
                RegistryStore(config.bundles[0]), bus.objects(OBJECTS),
                site.desired.bucket(CATALOG), root=root_in(config.root), audit=audit,
            )  # fmt: skip
            await stack.enter_async_context(beside(vault.keep(clock, config.update_s), "vault"))
        yield


def _identities(
    config: CloudConfig, parts: Parts, audit: Audit,
    served: list[AbstractAsyncContextManager[None]], tenants: Tenants | None = None,
) -> Sequence[Route]:  # fmt: skip
    """Return the routes of identities, and add to `served` what enrols and revokes."""
    if config.identity is None:
        return ()
    clock = parts.router.clock
    resolver = Resolver(clock)
    root = root_in(config.root) if config.root is not None else None
    registry = registry_of(config.identity, parts.desired, audit, clock, resolver, root=root)
    authority = Authority.read(config.identity.keys)
    held = Held(
        parts.desired.bucket(BUCKET), parts.gate.register or Register(), authority, audit, clock
    )
    natives = Natives(held, resolver.tell)
    server = Server(
        str(config.nats_url), config.nats_ca, parts.desired, resolver, clock, natives.jwts
    )
    served.append(serving(config.identity, parts.router.bus, registry, server=server))
    routes = IdentityRoutes(registry, parts.gate).routes()
    if tenants is None:
        return routes
    tenants.leaving = natives.end
    return (*routes, *NativeRoutes(natives, parts.gate).routes())


async def _founded(tenants: Tenants, config: CloudConfig, desired: Desired, clock: Clock) -> None:
    """Put in what a mesh begins with, once what it had before is there."""
    await desired.whole.wait()
    await founded(tenants, config, clock)


def _sign_in(config: CloudConfig, gate: Gate, clock: Clock) -> list[Coroutine[Any, Any, None]]:
    """Have the gate take tokens of the configured issuers; return what keeps their keys."""
    if not config.oidc:
        return []
    sign_in = SignIn(config.oidc, clock)
    sign_in.withdrawn = gate.forget
    gate.foreign = sign_in
    return [sign_in.watching(issuer) for issuer in config.oidc]


def _key(config: CloudConfig) -> SigningKey | None:
    return SigningKey.kept(config.signing_key) if config.signing_key is not None else None
