"""Nodes that do as the test says, and sites of them on a memory network. For tests of routing."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from edge_agent.bus.base import Delivery
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from middle_tier import router as routers
from middle_tier.router import Router
from middle_tier.routing.routes import Routes
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from protocol.adverts import Describe
from protocol.bundles import estimate
from protocol.codec import Frame
from protocol.messages import Ask, Asks, Cancel, Refusal, Replies
from protocol.subjects import AdvertSubject, AskSubject, ControlSubject
from protocol.types import Price
from tests.build import a_capacity, a_description, a_profile, a_variant_info, an_answer

SCORES = bytes(40)
EDGE, MIDDLE, CLOUD = (Price(usd_per_hour=price) for price in (0.002, 0.05, 0.79))


class ActedNode:
    """Answers at once; or as `does` says: "answer", "hold" (until told), or a refusal's reason."""

    def __init__(self, name: str = "edge-1", *, site: str = "site-1", **changes: object) -> None:
        self.name = name
        self.site = site
        self.does = "answer"
        self.alive = True
        """False: neither asks nor probes are heard, as of a process that stands still."""
        self.asked: list[Ask] = []
        self.frames = 0
        self.scores = SCORES
        """What it answers: all alike, so that a classifier is as unsure as can be."""
        self.cancelled: list[str] = []
        self.run_ms = float(changes.pop("run_ms", 1.0))
        accuracy, variants = changes.pop("accuracy", 0.9), changes.pop("variants", ("mlp-table",))
        advert = {"tier": "edge", "period_s": 1000.0, "price": EDGE, "site": site, **changes}
        advert["loaded"] = tuple({"variant": name, "state": "warm"} for name in variants)
        self.capacity = a_capacity(name, **advert)
        profile = a_profile(self.run_ms)
        infos = tuple(a_variant_info(name, accuracy=accuracy, profile=profile) for name in variants)
        self.description = a_description(name, site=site, variants=infos)
        self._held: list[tuple[Ask, str]] = []
        self._stack: AsyncExitStack | None = None

    @asynccontextmanager
    async def on(self, bus: MemoryBus) -> AsyncIterator[None]:
        self._bus = bus
        async with AsyncExitStack() as self._stack:
            for subject in (
                str(AskSubject(self.site, self.name)),
                ControlSubject.pattern(site=self.site, node=self.name),
            ):
                await self._stack.enter_async_context(bus.subscribe(subject, self._heard))
            self.advert()
            await settle()
            yield

    async def die(self) -> None:
        """As kill -9: nobody listens any more, what was held is never answered."""
        await self._stack.aclose()

    def advert(self, **changes: object) -> None:
        sequence = self.capacity.sequence + 1
        self.capacity = self.capacity.model_copy(update={"sequence": sequence, **changes})
        subject = AdvertSubject(self.capacity.tier, self.site, self.name)
        self._bus.publish(str(subject), Frame(self.capacity))

    def answer_held(self) -> None:
        held, self._held = self._held, []
        for ask, reply in held:
            self._reply(ask, "answer", reply)

    def _heard(self, delivery: Delivery) -> None:
        if not self.alive:
            return
        match delivery.frame.message:
            case Asks(items=asks):
                self.frames += 1
                for ask in asks:
                    self.asked.append(ask)
                    self._reply(ask, self.does, delivery.reply)
            case Cancel(ids=ids):
                self.cancelled.extend(ids)
            case Describe():
                self._bus.publish(delivery.reply, Frame(self.description))

    def _reply(self, ask: Ask, does: str, reply: str) -> None:
        if does == "hold":
            self._held.append((ask, reply))
            return
        if does == "answer":
            where = {"node": self.name, "site": self.site, "tier": self.capacity.tier}
            item = an_answer(ask.id, variant=ask.variant, run_ms=self.run_ms, **where)
        else:
            item = Refusal(id=ask.id, reason=does, detail=f"{self.name} says {does}")
        buffers = (self.scores,) if does == "answer" else ()
        self._bus.publish(reply, Frame(Replies(items=(item,)), buffers))


@asynccontextmanager
async def a_site(  # each has its default
    network: MemoryNetwork,
    clock: ManualClock,
    *nodes: ActedNode,
    site: str = "site-1",
    parent: str | None = None,
    policy: Policy | None = None,
) -> AsyncIterator[Router]:
    """A router with these nodes, which it knows when the block begins."""
    tier = "middle" if parent else "cloud"
    view = View(site, tier=tier)
    router = Router(
        MemoryBus(network), clock, view, policy or Policy(), site=site, parent=parent, seed=1
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(routers.running(router, below=not parent, drain_s=0.0))
        await stack.enter_async_context(Routes(router).open())
        for node in nodes:
            await stack.enter_async_context(node.on(MemoryBus(network)))
        yield router


__all__ = ["CLOUD", "EDGE", "MIDDLE", "SCORES", "ActedNode", "a_site", "estimate"]
