"""The agent: takes asks and orders from the bus, runs them, says what it can do. Composition only.

Serving has the way of an ask, warming the life of a variant, advertise the telling.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count
from secrets import token_hex

from edge_agent import capacity, hardware
from edge_agent.advertise import Advertiser
from edge_agent.bundles.store import Store
from edge_agent.bus.base import Bus, Delivery
from edge_agent.capacity import Moment, State
from edge_agent.clock import Clock
from edge_agent.config import AgentConfig
from edge_agent.near import Caller
from edge_agent.profiler import Profiles
from edge_agent.queue.gathering import Gathering
from edge_agent.queue.reception import Reception
from edge_agent.queue.serving import Serving
from edge_agent.runtimes import registry
from edge_agent.stock.holdings import Holding, Holdings
from edge_agent.stock.inventory import held_here
from edge_agent.stock.last_warm import LastWarm
from edge_agent.stock.loader import Loader, LoadVariant
from edge_agent.stock.warming import Warming
from protocol.adverts import Capacity, Describe, Description
from protocol.codec import Bytes, Frame
from protocol.errors import ConflictError, DecodeError, MeshError, UnknownError
from protocol.messages import Ask, Asks, Cancel, Done, Order
from protocol.subjects import AdvertSubject, AskSubject, ControlSubject

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent is made of."""

    config: AgentConfig
    hardware: str
    bus: Bus
    clock: Clock
    holdings: Holdings
    unable: dict[str, str]
    warming: Warming
    reception: Reception
    serving: Serving
    advertiser: Advertiser


class Agent:
    """One node. Made by `running`."""

    def __init__(self, parts: Parts) -> None:
        self.boot = token_hex(8)
        self._parts = parts
        self._sequence = count(1)
        self._idle: asyncio.Event = asyncio.Event()
        parts.serving.quiet = self._quiet
        parts.warming.woken = parts.serving.woken
        parts.warming.failed = self._failed
        parts.warming.changed = self._changed
        self._last_warm = LastWarm(parts.config.state_dir / "warm.json", parts.warming.aside)

    def __repr__(self) -> str:
        parts, now = self._parts, self._parts.clock.now()
        warm = sum(holding.state == "warm" for holding in parts.holdings.resident())
        queued = f"{parts.serving.queue_ms(now):.0f} ms queued"
        return f"<Agent {parts.config.node} | {self.state} | {warm} loaded | {queued}>"

    @property
    def subject(self) -> str:
        """Where it takes asks from the bus."""
        return str(AskSubject(self._parts.config.site, self._parts.config.node))

    @property
    def state(self) -> State:
        return "draining" if self._parts.reception.draining else "ready"

    def capacity(self, state: State | None = None) -> Capacity:
        """Its advert now."""
        parts = self._parts
        moment = Moment(
            sequence=next(self._sequence),
            state=state or self.state,
            queue_ms=parts.serving.queue_ms(parts.clock.now()),
            link=parts.advertiser.link,
            revision=parts.warming.revision,
        )
        return capacity.capacity(
            parts.config, parts.holdings, moment, hardware=parts.hardware, boot=self.boot
        )

    def description(self) -> Description:
        """What it is able to do."""
        parts = self._parts
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
        while self._parts.serving.open:
            self._idle.clear()
            await self._idle.wait()

    def resume(self) -> None:
        """Take asks again."""
        self._set_draining(draining=False)

    def delivered(self, delivery: Delivery) -> None:
        """What arrives on the ask subject."""
        if delivery.frame is None:
            return
        match delivery.frame.message:
            case Asks() as asks:
                self._parts.serving.asked(asks, delivery.frame.buffers, delivery.reply)
            case Cancel(ids=ids):
                self._parts.serving.cancel(ids, delivery.reply)
            case other:
                log.warning("%s on the ask subject", other.kind)

    def ask(self, ask: Ask, buffers: tuple[Bytes, ...], caller: Caller) -> None:
        """What a router in this process asks."""
        self._parts.serving.ask(ask, buffers, caller, self._parts.clock.now())

    def cancel(self, ids: Sequence[str], caller: Caller) -> None:
        """What a router in this process does not wait for any more."""
        self._parts.serving.cancel(ids, caller)

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

    def warm_up(self) -> None:
        """Import the runtimes; load what is configured as warm, and what was when it last ran."""
        self._parts.warming.prepare()
        last, configured = self._last_warm.recall(), self._parts.config.warm
        for name, holding in self._parts.holdings.all.items():
            if name in last or any(fnmatchcase(name, pattern) for pattern in configured):
                self._parts.warming.load(holding, lambda _: None)

    def _changed(self) -> None:
        resident = self._parts.holdings.resident()
        if not any(holding.state == "loading" for holding in resident):
            self._last_warm.note(holding.id for holding in resident if holding.state == "warm")
        self._parts.advertiser.changed()

    async def leave(self) -> None:
        """Drain, but not for longer than configured."""
        self._set_draining(draining=True)
        if not self._parts.serving.open:
            return
        async with asyncio.TaskGroup() as tasks:
            limit = self._parts.clock.sleep(self._parts.config.drain_s)
            either = (tasks.create_task(self.drain()), tasks.create_task(limit))
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for task in either:
                task.cancel()

    def _carry_out(self, verb: str, variant: str | None, done: Callable[[str], None]) -> None:
        match verb:
            case "drain" | "resume":
                self._set_draining(draining=verb == "drain")
                done("")
            case "load":
                self._load(variant or "", done)
            case "evict":
                done(self._parts.warming.evict(self._holding(variant or "")))
            case _:
                done(f"{verb} is not an order that this agent knows")

    def _load(self, variant: str, then: Callable[[str], None]) -> None:
        self._parts.warming.load(self._holding(variant), then)

    def _holding(self, variant: str) -> Holding:
        try:
            return self._parts.holdings.all[variant]
        except KeyError:
            why = self._parts.unable.get(variant, "it is not held here")
            raise UnknownError(f"{variant[:128] or 'no variant'}: {why}") from None

    def _set_draining(self, *, draining: bool) -> None:
        self._parts.reception.draining = draining
        self._parts.advertiser.changed()

    def _quiet(self, holding: Holding) -> None:
        self._parts.warming.quiet(holding)
        if not self._parts.serving.open:
            self._idle.set()

    def _failed(self, holding: Holding, detail: str) -> None:
        self._parts.serving.refuse_all(holding, "load_failed", detail)

    def _reply(self, delivery: Delivery, message: Description | Done) -> None:
        if not delivery.reply:
            return
        try:
            self._parts.bus.publish(delivery.reply, Frame(message))
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
    machine = config.hardware or hardware.hardware_class()
    holdings, unable = held_here(config, store, profiles, machine)
    loader = Loader(store, profiles, load, threads=config.threads, hardware=machine)
    warming = Warming(holdings, loader, clock, measure_s=config.measure_s)
    reception = Reception(config, holdings.all, warming, unable)
    gathering = Gathering(bus)
    serving = Serving(config, clock, reception, gathering)
    gathering.wanted = serving.schedule
    advert = AdvertSubject(config.tier, config.site, config.node)
    advertiser = Advertiser(
        bus, clock, subject=str(advert), period_s=config.period_s, seed=config.node
    )
    agent = Agent(
        Parts(
            config, machine, bus, clock, holdings, unable, warming, reception, serving, advertiser
        )
    )
    try:
        async with (
            bus.subscribe(agent.subject, agent.delivered),
            bus.subscribe(
                ControlSubject.pattern(site=config.site, node=config.node), agent.ordered
            ),
            advertiser.running(agent.capacity),  # whoever hears of it may ask at once
        ):
            agent.warm_up()
            try:
                yield agent
            finally:
                await agent.leave()
    finally:
        await serving.close()
        await warming.close()
