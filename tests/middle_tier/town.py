"""A small mesh on stepped time, of real gates, routers and agents: a cloud with nodes, sites below.

Runs last as long as their table says, on the manual clock: a worker thread that runs one sleeps
until the clock gets there. Links take no time. For tests of what happens under load.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event

import numpy as np

from edge_agent import agent
from edge_agent.agent import Agent
from edge_agent.bundles.store import Held, Store
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from edge_agent.config import AgentConfig
from edge_agent.profiler import Profiles
from edge_agent.runtimes import table
from middle_tier import router as routers
from middle_tier.gate import Gate
from middle_tier.http.job import felt
from middle_tier.register import READY, Register, Tenant
from middle_tier.router import Router
from middle_tier.routing.routes import Routes
from middle_tier.scheduler.types import Policy
from middle_tier.summary import Place, summarise
from middle_tier.uplink import uplinked
from middle_tier.view import View
from protocol.errors import MeshError
from protocol.messages import Query, Want
from protocol.types import Latency
from tests.build import a_task, a_variant, an_image
from tests.middle_tier.http_parts import SIGNING_KEY, a_token

TASK = a_task()
PIXELS = np.zeros((1, 8, 8), np.float32).tobytes()


@dataclass
class Sleeps:
    """What runs and until when. Worker threads sleep here; the town's clock wakes them."""

    clock: ManualClock
    loop: asyncio.AbstractEventLoop
    until: list[tuple[float, int, Event]] = field(default_factory=list)
    live: bool = False
    """False: nothing takes any time, as while the nodes load."""
    _order: count = field(default_factory=count)

    def __call__(self, seconds: float) -> None:
        if not self.live:
            return
        woken = Event()
        self.loop.call_soon_threadsafe(self._sleeps, self.clock.now() + seconds, woken)
        assert woken.wait(20)

    def _sleeps(self, at: float, woken: Event) -> None:
        heapq.heappush(self.until, (at, next(self._order), woken))


@dataclass
class Asks:
    """A tenant's queries at one gate, at a steady rate, and what has become of them."""

    tenant: str
    site: str
    rate: float
    latency_ms: float
    first_s: float = 0.0
    asked: int = 0
    answered: int = 0
    met: int = 0

    @property
    def attainment(self) -> float:
        return self.met / self.asked


class Town:
    """The mutable state is the clock, and who asks what at which gate."""

    def __init__(self, **shares: float) -> None:
        """Tenants by name, with their shares."""
        self.clock = ManualClock()
        self.network = MemoryNetwork()
        self.sleeps = Sleeps(self.clock, asyncio.get_running_loop())
        self.nodes: list[Agent] = []
        self.gates: dict[str, tuple[Gate, Router]] = {}
        self._shares = shares
        self._ids = count()

    @asynccontextmanager
    async def node(self, name: str, site: str, run_ms: float, folder: Path) -> AsyncIterator[Agent]:
        """A node that runs one row at a time, with the table's runtime; warm."""
        data = table.Table(
            runs={1: (run_ms,) * 5}, outputs={"scores": (10,)}, load_ms=0.0
        ).model_dump_json().encode()  # fmt: skip
        profile = table.Table.model_validate_json(data).profile()
        store = Store()
        variant = a_variant("mlp-table", data, profile=profile, max_batch=1)
        store.add(Held(variant, TASK, Path()), data)
        fields = {
            "node": name, "site": site, "tier": "cloud", "hardware": "box", "measure_s": 0,
            "workers": 1, "inline_below_ms": 0, "state_dir": folder / name, "period_s": 1.0,
        }  # fmt: skip
        load = partial(_loaded, self.sleeps)
        async with agent.running(
            AgentConfig(**fields), MemoryBus(self.network), self.clock, store,
            profiles=Profiles(folder / name), load=load,
        ) as started:  # fmt: skip
            self.nodes.append(started)
            await started.load("mlp-table")
            yield started

    @asynccontextmanager
    async def site(self, name: str, parent: str | None = None) -> AsyncIterator[Router]:
        """A site's router and gate, linked to its parent."""
        bus = MemoryBus(self.network)
        view = View(name, tier="middle" if parent else "cloud")
        router = Router(bus, self.clock, view, Policy(), site=name, parent=parent, seed=1)
        register = Register()
        for tenant, share in self._shares.items():
            told = Tenant(name=tenant, share=share).model_dump_json().encode()
            register.put(f"tenant.{tenant}", told)
        register.put(READY, b"{}")
        gate = Gate({"k1": SIGNING_KEY.public_key()}, self.clock, register=register)
        self.gates[name] = gate, router
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(routers.running(router, below=not parent, drain_s=0.0))
            await stack.enter_async_context(Routes(router).open())
            if parent:
                summary = partial(_summary, router, self.clock, count(1))
                await stack.enter_async_context(
                    uplinked(bus, self.clock, router.parent, summary=summary, cut=_nothing)
                )
            yield router

    def ask(self, asks: Asks, *, counted: bool) -> None:
        """What a gate does with a request that it has read, as `http.inference` does it."""
        gate, router = self.gates[asks.site]
        caller = gate.caller(a_known_token(self.clock, asks.tenant))
        asks.asked += counted
        try:
            caller.check()
        except MeshError:
            return
        started = self.clock.now()
        query = Query(
            id=f"q{next(self._ids)}", want=Want(task=TASK.name, latency_ms=asks.latency_ms),
            deadline_ms=max(1000.0, 4 * asks.latency_ms), inputs=(an_image(),),
            tenant=caller.claims.sub, share=caller.share,
        )  # fmt: skip

        def ended(outcome):
            elapsed_ms = caller.elapsed_ms(started)
            caller.end(0.0, felt(asks.latency_ms, elapsed_ms, outcome))
            if outcome.answer is not None and counted:
                asks.answered += 1
                asks.met += elapsed_ms <= asks.latency_ms + 1e-6

        caller.begin()
        router.pursue(query, (PIXELS,)).begin(ended)

    async def run(self, seconds: float, *crowd: Asks, skip_s: float = 1.0) -> None:
        """Let them ask for so long; what they ask in the first `skip_s` does not count."""
        begin, order = self.clock.now(), count()
        events = [(begin + asks.first_s, next(order), asks) for asks in crowd]
        heapq.heapify(events)
        while events[0][0] <= begin + seconds:
            at, _, asks = heapq.heappop(events)
            await self._until(at)
            self.ask(asks, counted=at - begin >= skip_s)
            heapq.heappush(events, (at + 1.0 / asks.rate, next(order), asks))
        await self._until(begin + seconds + 10.0)

    async def _until(self, at: float) -> None:
        """Move the clock on, ending each run at its own time."""
        await self._still()
        while (until := self.sleeps.until) and until[0][0] <= at:
            end, _, woken = heapq.heappop(until)
            await self.clock.advance(max(0.0, end - self.clock.now()))
            woken.set()
            await self._still()
        await self.clock.advance(max(0.0, at - self.clock.now()))
        await self._still()

    async def _still(self) -> None:
        """Return when every run that was begun sleeps, and nothing else is ready."""
        async with asyncio.timeout(20):
            await settle(12)
            while self._running() != len(self.sleeps.until):
                await settle(4)

    def _running(self) -> int:
        return sum(one.busy for node in self.nodes for one in node.parts.holdings.all.values())


def _loaded(sleep, variant, data, threads, task=None, **_):
    return table.load(variant, data, threads, task, sleep=sleep)


def _summary(router, clock, numbers):
    place = Place(router.site, router.site, next(numbers), Latency(ms=(0.0,) * 5))
    return summarise(router.view, place, clock.now())


def _nothing() -> None:
    """Nothing is cut here."""


_TOKENS: dict[str, str] = {}


def a_known_token(clock, tenant):
    """The same token again for the same tenant: signing takes longer than all the rest."""
    if tenant not in _TOKENS:
        _TOKENS[tenant] = a_token(clock, sub=tenant, tasks=[TASK.name], exp=2**33)
    return _TOKENS[tenant]


@asynccontextmanager
async def a_town(folder: Path, *, run_ms: float, nodes: int = 1, **shares) -> AsyncIterator[Town]:
    """A cloud with some nodes, and two sites below it that have none."""
    town = Town(**shares)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(town.site("cloud"))
        for number in range(nodes):
            await stack.enter_async_context(town.node(f"n{number}", "cloud", run_ms, folder))
        for name in ("east", "west"):
            await stack.enter_async_context(town.site(name, "cloud"))
        town.sleeps.live = True
        await town.clock.advance(3.0)  # adverts, pings, summaries
        yield town
