"""The agent: takes asks and orders from the bus, runs them, says what it can do. Composition only.

Serving has the way of an ask, warming the life of a variant, advertise the telling.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from itertools import count
from secrets import token_hex

from edge_agent import capacity
from edge_agent.audit import Audit
from edge_agent.background import beside
from edge_agent.bundles.store import Store
from edge_agent.bus.base import Bus, Delivery
from edge_agent.capacity import Moment, State
from edge_agent.clock import Clock
from edge_agent.config import AgentConfig
from edge_agent.near import Caller
from edge_agent.parts import Parts, composed
from edge_agent.profiler import Profiles
from edge_agent.runtimes import registry
from edge_agent.stock.holdings import Holding
from edge_agent.stock.last_warm import LastWarm
from edge_agent.stock.loader import LoadVariant
from edge_agent.stock.restocking import Restocking
from protocol.adverts import Capacity, Describe, Description
from protocol.codec import Bytes, Frame
from protocol.errors import ConflictError, DecodeError, MeshError, UnknownError
from protocol.messages import Ask, Asks, Cancel, Done, Order
from protocol.subjects import AskSubject, ControlSubject

log = logging.getLogger(__name__)


class Agent:
    """One node. Made by `running`."""

    def __init__(self, parts: Parts) -> None:
        self.boot = token_hex(8)
        self.parts = parts
        self._sequence = count(1)
        self._idle: asyncio.Event = asyncio.Event()
        parts.serving.quiet = self._quiet
        parts.warming.woken = parts.serving.woken
        parts.warming.failed = self._failed
        parts.warming.changed = self._changed
        self.update_wanted: Callable[[], None] | None = None
        """Called when an order says that there may be newer bundles."""
        self._restocking = Restocking(
            parts.holdings,
            parts.warming.evict,
            lambda holding: parts.warming.load(holding, lambda _: None),
        )
        self._last_warm = LastWarm(parts.config.state_dir / "warm.json", parts.warming.aside)

    def __repr__(self) -> str:
        parts, now = self.parts, self.parts.clock.now()
        warm = sum(holding.state == "warm" for holding in parts.holdings.resident())
        queued = f"{parts.serving.queue_ms(now):.0f} ms queued"
        return f"<Agent {parts.config.node} | {self.state} | {warm} loaded | {queued}>"

    @property
    def subject(self) -> str:
        """Where it takes asks from the bus."""
        return str(AskSubject(self.parts.config.site, self.parts.config.node))

    @property
    def state(self) -> State:
        return "draining" if self.parts.reception.draining else "ready"

    def capacity(self, state: State | None = None) -> Capacity:
        """Its advert now."""
        parts, now = self.parts, self.parts.clock.now()
        moment = Moment(
            sequence=next(self._sequence),
            state=state or self.state,
            queue_ms=parts.serving.queue_ms(now) + parts.warming.measuring.left_ms(now),
            link=parts.advertiser.link,
            revision=parts.warming.revision,
        )
        return capacity.capacity(
            parts.config, parts.holdings, moment, hardware=parts.hardware, boot=self.boot
        )

    def description(self) -> Description:
        """What it is able to do."""
        parts = self.parts
        return capacity.description(
            parts.config, parts.holdings, parts.unable, parts.warming.revision
        )

    async def load(self, variant: str) -> None:
        """Return when it is warm. Raises `UnknownError` or `ConflictError` when it will not be."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[str] = loop.create_future()
        self._load(variant, lambda fault: None if told.done() else told.set_result(fault))
        fault = await told
        if fault:
            raise ConflictError(f"{variant} is not loaded: {fault}")

    async def drain(self) -> None:
        """Refuse what is new; return when all that was admitted has its reply."""
        self._set_draining(draining=True)
        while self.parts.serving.open:
            self._idle.clear()
            await self._idle.wait()

    def audited(self, audit: Audit) -> None:
        """Have bytes that are not to be trusted, when they are loaded, recorded there."""

        def refused(holding: Holding, detail: str) -> None:
            audit.record("trust-refused", what=holding.id, reason="untrusted", error=detail)

        self.parts.warming.refused = refused

    def resume(self) -> None:
        """Take asks again."""
        self._set_draining(draining=False)

    def delivered(self, delivery: Delivery) -> None:
        """What arrives on the ask subject."""
        if delivery.frame is None:
            return
        match delivery.frame.message:
            case Asks() as asks:
                self.parts.serving.asked(asks, delivery.frame.buffers, delivery.reply)
            case Cancel(ids=ids):
                self.parts.serving.cancel(ids, delivery.reply)
            case other:
                log.warning("%s on the ask subject", other.kind)

    def ask(self, ask: Ask, buffers: tuple[Bytes, ...], caller: Caller) -> None:
        """What a router in this process asks."""
        self.parts.serving.ask(ask, buffers, caller, self.parts.clock.now())

    def cancel(self, ids: Sequence[str], caller: Caller) -> None:
        """What a router in this process does not wait for any more."""
        self.parts.serving.cancel(ids, caller)

    def ordered(self, delivery: Delivery) -> None:
        """What arrives on the control subjects."""
        if delivery.frame is None:
            return

        def done(fault: str) -> None:
            self._reply(delivery, Done(ok=not fault, detail=fault))

        match delivery.frame.message:
            case Describe():
                self._reply(delivery, self.description())
            case Order(variant=variant):
                try:
                    self._carry_out(ControlSubject.parse(delivery.subject).verb, variant, done)
                except (DecodeError, UnknownError) as error:
                    done(error.error)
            case other:
                done(f"{other.kind} is not an order")

    def restock(self, store: Store) -> None:
        """Hold what is in this store from now on."""
        parts = self.parts
        found, unable = parts.inventory.taken(store)
        parts.unable.clear()
        parts.unable.update(unable)
        before = frozenset(parts.holdings.all)
        self._restocking.restock(found)
        parts.warming.revision += 1
        parts.warming.prepare()
        self._warm(frozenset(parts.holdings.all) - before)
        parts.advertiser.changed()

    def warm_up(self) -> None:
        """Import the runtimes; load what is configured as warm, and what was when it last ran."""
        self.parts.warming.prepare()
        self._warm(frozenset(self.parts.holdings.all))

    def _warm(self, ids: frozenset[str]) -> None:
        last, configured = self._last_warm.recall(), self.parts.config.warm
        for name in sorted(ids):
            holding = self.parts.holdings.all[name]
            if name in last or any(fnmatchcase(name, pattern) for pattern in configured):
                self.parts.warming.load(holding, lambda _: None)

    def _changed(self) -> None:
        self._restocking.settle()
        resident = self.parts.holdings.resident()
        if not any(holding.state == "loading" for holding in resident):
            self._last_warm.note(holding.id for holding in resident if holding.state == "warm")
        self.parts.advertiser.changed()

    async def leave(self) -> None:
        """Drain, but not for longer than configured."""
        self._set_draining(draining=True)
        if not self.parts.serving.open:
            return
        async with asyncio.TaskGroup() as tasks:
            limit = self.parts.clock.sleep(self.parts.config.drain_s)
            either = (tasks.create_task(self.drain()), tasks.create_task(limit))
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for task in either:
                task.cancel()

    def _carry_out(self, verb: str, variant: str | None, done: Callable[[str], None]) -> None:
        match verb:
            case "drain" | "resume":
                self._set_draining(draining=verb == "drain")
                done("")
            case "update":
                if self.update_wanted is not None:
                    self.update_wanted()
                done("" if self.update_wanted is not None else "its bundles are not a mesh's")
            case "load":
                self._load(variant or "", done)
            case "evict":
                done(self.parts.warming.evict(self._holding(variant or "")))
            case _:
                done(f"{verb} is not an order that this agent knows")

    def _load(self, variant: str, then: Callable[[str], None]) -> None:
        self.parts.warming.load(self._holding(variant), then)

    def _holding(self, variant: str) -> Holding:
        try:
            return self.parts.holdings.all[variant]
        except KeyError:
            why = self.parts.unable.get(variant, "it is not held here")
            raise UnknownError(f"{variant[:128] or 'no variant'}: {why}") from None

    def _set_draining(self, *, draining: bool) -> None:
        self.parts.reception.draining = draining
        self.parts.advertiser.changed()

    def _quiet(self, holding: Holding) -> None:
        self.parts.warming.measuring.served(holding)
        self._restocking.settle()
        if not self.parts.serving.open:
            self._idle.set()

    def _failed(self, holding: Holding, detail: str) -> None:
        self.parts.serving.refuse_all(holding, "load_failed", detail)

    def _reply(self, delivery: Delivery, message: Description | Done) -> None:
        if not delivery.reply:
            return
        try:
            self.parts.bus.publish(delivery.reply, Frame(message))
        except MeshError as error:
            log.warning("no reply to %s: %s", delivery.subject, error)


@asynccontextmanager
async def running(
    config: AgentConfig,
    bus: Bus,
    clock: Clock,
    store: Store,
    *,
    profiles: Profiles,
    load: LoadVariant = registry.load,
) -> AsyncIterator[Agent]:
    """Serve until the block ends; then finish what is queued, say goodbye, and end every thread."""
    parts = composed(config, bus, clock, (store, profiles, load))
    agent = Agent(parts)
    try:
        async with (
            bus.subscribe(agent.subject, agent.delivered),
            bus.subscribe(
                ControlSubject.pattern(site=config.site, node=config.node), agent.ordered
            ),
            parts.advertiser.running(agent.capacity),  # whoever hears of it may ask at once
            beside(parts.warming.measuring.whenever_idle(), "measuring"),
        ):
            agent.warm_up()
            try:
                yield agent
            finally:
                await agent.leave()
    finally:
        await parts.serving.close()
        await parts.warming.close()
