"""What a router costs by itself: microseconds of CPU a query, from `pursue` to the answer learnt.

Run it: `python tests/benchmark/router.py [--json] [--queries N]`. The bus hands nothing to anybody:
asks are answered outside the timed part, so neither the wire nor an agent is in the figures. Beside
them stands what a bare dictionary and future round trip costs in the same run: on a busy machine
both grow, and the ratio says more than either; `quiet` is the twentieth that went best. Time on the
router's clock moves 0.1 ms a query.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from edge_agent.bus.base import Delivery, Handler
from middle_tier.router import Router
from middle_tier.routing.outcome import Outcome  # noqa: TC001  # TYPE_CHECKING would hide cycles
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from protocol.adverts import Capacity, Description, Loaded, VariantInfo
from protocol.bundles import Task, estimate
from protocol.codec import Frame
from protocol.errors import UnreachableError
from protocol.messages import Answer, Asks, Query, Replies, Want
from protocol.types import Axes, Latency, Price, Profile, Tensor

TASK = Task(
    name="digits",
    inputs=(Axes(name="image", datatype="FP32", shape=(-1, 8, 8)),),
    outputs=(Axes(name="scores", datatype="FP32", shape=(-1, 10)),),
)
IMAGE = Tensor(name="image", datatype="FP32", shape=(1, 8, 8))
SCORES = Tensor(name="scores", datatype="FP32", shape=(1, 10))
VARIANTS = 10
STEP_S = 1e-4


class SteppedClock:
    """Moves by itself, a little with each query: a plan's age must not depend on the machine."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        del seconds
        await asyncio.get_running_loop().create_future()


class SilentBus:
    """Keeps what is published; nobody gets it."""

    connected = True

    def __init__(self) -> None:
        self.published: list[tuple[Frame, str]] = []

    def inbox(self) -> str:
        return "_INBOX.bench"

    def publish(self, subject: str, frame: Frame, reply: str = "") -> None:
        del subject
        self.published.append((frame, reply))

    @asynccontextmanager
    async def subscribe(
        self, subject: str, handler: Handler, queue: str = ""
    ) -> AsyncIterator[None]:
        del subject, handler, queue
        yield

    async def request(self, subject: str, frame: Frame, timeout_s: float) -> Frame:
        del subject, frame, timeout_s
        raise UnreachableError("nobody answers requests in this benchmark")

    async def rtt_s(self) -> float:
        return 0.0


def a_router(nodes: int, clock: SteppedClock) -> tuple[Router, SilentBus]:
    """Return a router whose view has this many nodes, alike in everything."""
    view = View("site-1")
    ms = (0.2, 0.25, 0.3, 0.4, 0.6)
    infos = tuple(
        VariantInfo(
            variant=f"net-{number}", task=TASK.name, architecture=f"net-{number // 2}",
            format="onnx", precision="fp32", accuracy=0.9 + number / 1000, max_batch=32,
            size_bytes=1000,
            profile=Profile(
                load_ms=10.0, memory_bytes=1000, measured=True,
                runs={
                    rows: Latency(ms=tuple((1 + number) * each * rows**0.7 for each in ms))
                    for rows in (1, 8, 32)
                },
            ),
        )
        for number in range(VARIANTS)
    )  # fmt: skip
    for number in range(nodes):
        advert = Capacity(
            node=f"edge-{number}", site="site-1", tier="edge", hardware="pi", boot="b", sequence=1,
            loaded=tuple(Loaded(variant=info.variant, state="warm") for info in infos),
            link=estimate(0.3), price=Price(usd_per_hour=0.01), period_s=1e6,
        )  # fmt: skip
        view.advert(advert, clock.now())
        described = Description(
            node=advert.node, site="site-1", revision=0, tasks=(TASK,), variants=infos
        )
        view.describe(described, clock.now())
    bus = SilentBus()
    return Router(bus, clock, view, Policy(), site="site-1"), bus


def replies(asks: Asks) -> Frame:
    """What an agent that runs all of them together would send back."""
    items = tuple(
        Answer(
            id=ask.id, variant=ask.variant, architecture="net", node="edge", site="site-1",
            tier="edge", outputs=(SCORES,), run_ms=0.3, held_ms=0.5, batch=len(asks.items),
        )
        for ask in asks.items
    )  # fmt: skip
    return Frame(Replies(items=items), tuple(bytes(40) for _ in items))


async def measure(nodes: int, crowd: int, queries: int) -> dict[str, float]:
    """Return microseconds of CPU a query, with this many under way together, and the floor's."""
    clock = SteppedClock()
    router, bus = a_router(nodes, clock)
    want = Want(task=TASK.name, latency_ms=50.0)
    spent, floors = [], []
    for _ in range(queries // crowd):
        asked = [
            Query(id=f"q-{each}", want=want, deadline_ms=1000.0, inputs=(IMAGE,))
            for each in range(crowd)
        ]
        floors.append(await floor_us(crowd))
        begin = time.thread_time()
        answered: list[Outcome] = []
        for query in asked:
            clock.at += STEP_S
            router.pursue(query, (b"",)).begin(answered.append)
        await asyncio.sleep(0)
        cost = time.thread_time() - begin
        frames, bus.published = bus.published, []
        back = [
            Delivery(reply, replies(frame.message))
            for frame, reply in frames
            if isinstance(frame.message, Asks)
        ]
        begin = time.thread_time()
        for delivery in back:
            router.outbox.hear(delivery)
        cost += time.thread_time() - begin
        assert sum(outcome.answer is not None for outcome in answered) == crowd
        spent.append(cost / crowd * 1e6)
    spent, floors = sorted(spent[len(spent) // 5 :]), sorted(floors[len(floors) // 5 :])
    us, floor = median(spent), median(floors)
    return {
        "us": round(us, 1),
        "bare_us": round(floor, 2),
        "ratio": round(us / floor, 1),
        "quiet_us": round(spent[len(spent) // 20], 1),
        "quiet_bare_us": round(floors[len(floors) // 20], 2),
    }


async def floor_us(crowd: int) -> float:
    """Return what the same number of dictionary entries and futures cost: microseconds each."""
    loop = asyncio.get_running_loop()
    begin = time.thread_time()
    waiting = {f"q-{each:x}": loop.create_future() for each in range(crowd)}
    await asyncio.sleep(0)
    for name in tuple(waiting):
        waiting.pop(name).set_result(name)
    return (time.thread_time() - begin) / crowd * 1e6


async def run(queries: int) -> dict[str, dict[str, float]]:
    results = {}
    for nodes, crowd in ((1, 1), (1, 32), (4, 1), (4, 32), (40, 32)):
        gc.collect()
        gc.freeze()
        results[f"{nodes} nodes, {crowd} together"] = await measure(nodes, crowd, queries)
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--queries", type=int, default=20_000)
    options = parser.parse_args(arguments)
    results = asyncio.run(run(options.queries))
    if options.json:
        sys.stdout.write(json.dumps(results) + "\n")
    else:
        for name, figures in results.items():
            print(f"{name}: {figures}")  # noqa: T201  # what it is run for
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
