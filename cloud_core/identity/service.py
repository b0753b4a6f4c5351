"""Enrolment and renewal over NATS, and clones that sites have heard: from the bus to the registry.

Runs in the cloud's process, with the signing keys of two roles and the key that signs accounts.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_core.identity.authority import Authority
from cloud_core.identity.provisioned import Provisioned, read_provisioned
from cloud_core.identity.registry import BUCKET, Kept, Registry
from cloud_core.identity.resolver import Resolver
from edge_agent.audit import Audit
from edge_agent.background import beside
from edge_agent.bus.base import Bus, Delivery
from edge_agent.clock import Clock
from edge_agent.config import Config
from middle_tier.desired import Desired
from middle_tier.refused import Refused, recorded
from protocol.codec import Frame
from protocol.errors import DecodeError, MeshError
from protocol.identity import Cloned, Enrol, Identified, Renew
from protocol.messages import Done
from protocol.subjects import EventSubject, IdentitySubject

log = logging.getLogger(__name__)

MAX_AT_ONCE = 64
RETRY_S = 0.5
QUEUE = "identity"


class IdentityConfig(Config):
    """Where the cloud finds what it signs with; null in its configuration: it enrols nobody."""

    keys: Path
    """The folder of keys that `tiermesh init` (or `up`) has made; the operator's own is not needed
    there."""

    system_credentials: Path
    """Credentials of the role `resolver`: it tells servers whose keys are refused."""

    provisioned: Path | None = None
    """Nodes that were given their credentials: a list."""


@dataclass(frozen=True, slots=True)
class Server:
    """The hub's server, and what there is at it."""

    url: str
    ca: Path | None
    desired: Desired
    resolver: Resolver
    clock: Clock
    accounts: Callable[[], Iterable[str]]
    """JWTs of tenants' own accounts."""


class Service:
    """The mutable state is the work under way, and how many were refused."""

    def __init__(self, bus: Bus, registry: Registry) -> None:
        self._bus = bus
        self._registry = registry
        self.refused = Refused()
        self._work: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve until the block ends."""
        cloned = EventSubject.pattern(kind="cloned")
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            for op in ("enrol", "renew"):
                await enter(self._bus.subscribe(str(IdentitySubject(op)), self._asked, QUEUE))
            await enter(self._bus.subscribe(cloned, self._event, QUEUE))
            yield
            for task in self._work:
                task.cancel()

    def _asked(self, delivery: Delivery) -> None:
        message = delivery.frame.message if delivery.frame is not None else None
        if delivery.reply and isinstance(message, Enrol | Renew):
            self._begin(self._answer(message, delivery.reply))

    def _event(self, delivery: Delivery) -> None:
        message = delivery.frame.message if delivery.frame is not None else None
        if not isinstance(message, Cloned):
            return
        try:
            subject = EventSubject.parse(delivery.subject)
        except DecodeError:
            return
        if (subject.site, subject.node) != (message.site, message.node):
            log.warning("an event on %s speaks of another node", delivery.subject)
            return
        why = f"heard as {message.boots[0]} and {message.boots[1]} for {message.for_s:.0f} s"
        self._begin(self._registry.cloned(message.site, message.node, why))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._work) >= MAX_AT_ONCE:
            work.close()
            log.warning("too many enrolments at once: one is not answered")
            return
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _answer(self, asked: Enrol | Renew, reply: str) -> None:
        answer: Identified | Done
        try:
            if isinstance(asked, Enrol):
                answer = await self._registry.enrol(asked)
            else:
                answer = await self._registry.renew(asked)
        except MeshError as error:
            log.warning("refused %s: %s", asked.kind, error)
            self.refused.add(f"{asked.kind}: {error.error}")
            answer = Done(ok=False, detail=error.error)
        self._bus.publish(reply, Frame(answer))


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """See it done; a failure ends here, as nobody waits for it."""
    try:
        await work
    except MeshError as error:
        log.warning("an identity is not changed: %s", error)


@asynccontextmanager
async def serving(
    config: IdentityConfig, bus: Bus, registry: Registry, *, server: Server
) -> AsyncIterator[None]:
    """Enrol, renew and revoke until the block ends."""
    nodes = read_provisioned(config.provisioned) if config.provisioned is not None else ()
    told = server.resolver.telling(
        server.url, config.system_credentials, server.ca,
        lambda: (*registry.told(), *server.accounts()),
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(registry.following())
        await stack.enter_async_context(beside(_provided(registry, nodes, server), "provided"))
        service = Service(bus, registry)
        await stack.enter_async_context(
            recorded(service.refused, registry.audit, server.clock, "enrolment-refused", "devices")
        )
        await stack.enter_async_context(service.open())
        await stack.enter_async_context(told)
        yield


async def _provided(registry: Registry, nodes: Sequence[Provisioned], server: Server) -> None:
    """Know all that was known before; then enter whoever was given credentials and is new."""
    await server.desired.whole.wait()
    while True:
        try:
            await registry.read()
            server.resolver.tell()
            await registry.provide(nodes)
        except MeshError as error:
            log.warning("the bucket %s cannot be read yet: %s", BUCKET, error)
            await server.clock.sleep(RETRY_S)
        else:
            return


def registry_of(
    config: IdentityConfig, desired: Desired, audit: Audit, clock: Clock, resolver: Resolver,
    *, root: bytes | None = None,
) -> Registry:  # fmt: skip
    """Return the registry; raise `ConflictError` when the keys are not where they should be."""
    authority = Authority.read(config.keys)
    kept = Kept(desired.bucket(BUCKET), authority, audit, clock, root=root)
    return Registry(kept, resolver.tell)
