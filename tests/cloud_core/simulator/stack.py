"""The whole real stack on a stepped clock: router, memory bus, agents, their queues and threads.

Only time is stepped: a runtime (or a load) blocks its thread until it is over by that time.
"""

import asyncio
import heapq
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from threading import Event, Lock

from cloud_core.simulator.kinds import Kind
from cloud_core.simulator.policies.mesh import default_rules
from edge_agent.agent import running
from edge_agent.bundles.store import Store
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock, settle
from edge_agent.config import AgentConfig
from edge_agent.profiler import Profiles
from middle_tier import router as routers
from middle_tier.router import Router
from middle_tier.view import View
from protocol.bundles import digest_key
from protocol.errors import MeshError
from protocol.messages import Query, Want
from protocol.types import Tensor


class Stepped:
    """What runs or loads, and until when. Threads wait here for their time to come."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._ends: list[tuple[float, int, Event]] = []
        self.begun = self.over = 0

    def wait(self, seconds: float) -> None:
        """On a worker's or a loader's thread."""
        done = Event()
        with self._lock:
            self.begun += 1
            heapq.heappush(self._ends, (self._clock.now() + seconds, self.begun, done))
        assert done.wait(30)

    def next(self) -> float:
        with self._lock:
            return self._ends[0][0] if self._ends else float("inf")

    def release(self) -> None:
        """Let go whatever is over by now."""
        with self._lock:
            while self._ends and self._ends[0][0] <= self._clock.now() + 1e-9:
                heapq.heappop(self._ends)[2].set()
                self.over += 1


async def on_the_real_stack(world, folder, loads, rules=None, *, measure_s=0.0):
    """Run the arrivals of a world of one site through routers and agents; return what came back.

    `loads(node, stepped)` is how a node loads variants (`LoadVariant`). With `measure_s` each node
    also measures for itself what it has loaded.
    """
    clock, network = ManualClock(), MemoryNetwork()
    stepped = Stepped(clock)

    view = View("site-1", tier="edge")
    router = Router(
        MemoryBus(network), clock, view, rules or default_rules(world), site="site-1", seed=1
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(routers.running(router, drain_s=0.0))
        agents = [
            await enter(
                running(
                    a_config(node, folder, measure_s), MemoryBus(network), clock,
                    a_store(node.kind), profiles=Profiles(folder / node.name),
                    load=loads(node.name, stepped),
                )
            )
            for node in world.nodes
        ]  # fmt: skip
        await clock.advance(0.1)
        return await drive(world, router, clock, (stepped, agents))


def a_config(node, folder, measure_s):
    fleet = node.kind.fleet
    return AgentConfig(
        node=node.name, site=node.site, tier=fleet.tier, price=fleet.price, hardware=fleet.name,
        memory_bytes=int(fleet.memory_mb * 1e6), state_dir=folder / node.name, measure_s=measure_s,
        inline_below_ms=0.0, mbps=1e6, period_s=1000.0, drain_s=0.0,
    )  # fmt: skip


def a_store(kind: Kind) -> Store:
    store = Store()
    for info in kind.infos:
        held = kind.holding(info.variant).held
        digest = digest_key(sha256(b"x").hexdigest())
        profile = held.variant.profile.but(measured=False)  # each node measures for itself
        variant = held.variant.but(size_bytes=1, digest=digest, profile=profile)
        store.add(replace(held, variant=variant), b"x")
    return store


async def drive(world, router, clock, parts):
    """Step from event to event: an arrival, an alarm, or the end of a run or of a load.

    Also to alarms, as what is asked then begins to run by the clock that its thread finds.
    """
    stepped, agents = parts
    start, asked = clock.now(), []
    arrivals = world.arrivals.at_s.tolist()
    while len(asked) < len(arrivals) or not all(task.done() for task in asked):
        due = start + arrivals[len(asked)] if len(asked) < len(arrivals) else float("inf")
        now = min(due, stepped.next(), max(clock.now(), clock.wakes_at), clock.now() + 0.25)
        await clock.advance(max(0.0, now - clock.now()))
        stepped.release()
        if now == due:
            asked.append(asyncio.ensure_future(timed(world, router, clock, len(asked))))
        await quiet(stepped, agents)
    return [task.result() for task in asked]


async def quiet(stepped, agents):
    """Return when every thread waits for its time, and the loop has nothing left to do."""
    for _ in range(2000):
        await settle()
        parts = [agent.parts for agent in agents]
        runs = sum(len(part.serving._ends) for part in parts)  # noqa: SLF001  # nothing else tells
        # Of loads and measurements on one node one is under way, the others wait for it.
        loads = sum(
            any(
                holding.state == "loading" or holding.measuring
                for holding in part.holdings.all.values()
            )
            for part in parts
        )
        if stepped.begun - stepped.over == runs + loads:
            return
        await asyncio.sleep(0.0005)
    raise AssertionError("a thread is lost")


async def timed(world, router, clock, number):
    """Ask; return (met, variant) as the simulator would put it down."""
    part = world.scenario.wants[world.arrivals.want[number]]
    want = Want(
        task="imagenet", latency_ms=part.latency_ms, percentile=part.percentile,
        min_accuracy=part.min_accuracy / 100.0,
    )  # fmt: skip
    query = Query(
        id=f"q-{number}", want=want, deadline_ms=max(4.0 * part.latency_ms, 1000.0),
        inputs=(Tensor(name="input", datatype="UINT8", shape=(1, 1000)),),
    )  # fmt: skip
    begin = clock.now()
    try:
        answer, _ = await router.answer(query, (bytes(1000),))
    except MeshError:
        return False, ""
    return (clock.now() - begin) * 1e3 <= part.latency_ms + 1e-6, answer.variant
