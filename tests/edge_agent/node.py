"""A whole agent in one process for tests: a real queue and real threads, a runtime that adds up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import numpy as np

from edge_agent.agent import Agent, running
from edge_agent.bundles.store import Held, Store
from edge_agent.bus.base import Delivery
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import Clock, ManualClock
from edge_agent.config import AgentConfig
from edge_agent.profiler import Profiles
from protocol.bundles import Variant, estimate
from protocol.codec import Frame
from protocol.errors import ExecutionError
from protocol.messages import Answer, Ask, Asks, Refusal, Replies
from protocol.subjects import AskSubject, ControlSubject
from protocol.types import Tensor
from tests.build import a_profile, a_task, a_variant

POISON = -1.0
TASK = a_task(
    inputs=({"name": "image", "datatype": "FP32", "shape": (-1, 2)},),
    outputs=({"name": "scores", "datatype": "FP32", "shape": (-1, 1)},),
)
QUICK = a_profile(runs={size: estimate(0.01 * size) for size in (1, 4, 8)})
SLOW = a_profile(runs={size: estimate(5.0 + size) for size in (1, 4, 8)})


class Adds:
    """Adds up each row; fails on poison; waits for `gate` where there is one."""

    def __init__(self, gate: Event | None = None) -> None:
        self.batches: list[list[float]] = []
        self.closed = False
        self._gate = gate
        self._running = False

    def infer(self, inputs):
        assert not self._running
        assert not self.closed
        self._running = True
        try:
            image = inputs["image"]
            self.batches.append(image[:, 0].tolist())
            if self._gate is not None:
                assert self._gate.wait(10)
            if (image == POISON).any():
                raise ExecutionError("poison")
            return {"scores": image.sum(axis=1, keepdims=True)}
        finally:
            self._running = False

    def close(self) -> None:
        self.closed = True


class Loads:
    """Hands out runtimes by variant id; an exception in a runtime's place is raised."""

    def __init__(self, **runtimes: object) -> None:
        self.runtimes = runtimes
        self.loaded: list[str] = []
        self.gate: Event | None = None

    def __call__(self, variant, *_):
        self.loaded.append(variant.id)
        if self.gate is not None:
            assert self.gate.wait(10)
        runtime = self.runtimes.setdefault(variant.id, Adds())
        if isinstance(runtime, Exception):
            raise runtime
        runtime.closed = False
        return runtime


class Caller:
    """Asks, and collects what comes back by id."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.inbox = f"{bus.inbox()}.1"
        self.replies: dict[str, list[tuple[Answer | Refusal, list[bytes]]]] = {}
        self.frames = 0
        self._more = asyncio.Event()

    def got(self, delivery: Delivery) -> None:
        assert delivery.frame is not None
        assert isinstance(delivery.frame.message, Replies)
        self.frames += 1
        buffers = iter(delivery.frame.buffers)
        for item in delivery.frame.message.items:
            own = [bytes(next(buffers)) for _ in item.outputs] if item.kind == "answer" else []
            self.replies.setdefault(item.id, []).append((item, own))
        self._more.set()

    def ask(self, *asks: tuple[Ask, list[float]]) -> None:
        """One frame; each ask with the first number of its rows."""
        buffers = tuple(np.array([[x, 1] for x in xs], "<f4").tobytes() for _, xs in asks)
        message = Asks(items=tuple(ask for ask, _ in asks))
        self.publish(Frame(message, buffers))

    def publish(self, frame: Frame) -> None:
        self.bus.publish(str(AskSubject("yard", "cam")), frame, self.inbox)

    async def reply_to(self, name: str) -> Answer | Refusal:
        async with asyncio.timeout(5):
            while name not in self.replies:
                self._more.clear()
                await self._more.wait()
        return self.replies[name][0][0]

    async def order(self, verb: str, message):
        subject = str(ControlSubject("yard", "cam", verb))
        return (await self.bus.request(subject, Frame(message), 5)).message

    def scores(self, name: str) -> list[float]:
        (_, (data,)) = self.replies[name][0]
        return np.frombuffer(data, "<f4").tolist()


def an_ask(name: str, variant: str = "quick", rows: int = 1, **changes) -> Ask:
    tensor = Tensor(name="image", datatype="FP32", shape=(rows, 2))
    fields = {"budget_ms": 1000.0, "deadline_ms": 5000.0, **changes}
    return Ask(id=name, variant=variant, inputs=(tensor,), **fields)


def quick(name: str = "quick", **changes) -> Variant:
    return a_variant(name, **{"profile": QUICK, "max_batch": 8, **changes})


def a_store(*variants: Variant, data: bytes = b"") -> Store:
    store = Store()
    for variant in variants:
        store.add(Held(variant, TASK, Path()), data)
    return store


@asynccontextmanager
async def a_node(
    *variants: Variant,
    load: Loads | None = None,
    clock: Clock | None = None,
    network: MemoryNetwork | None = None,
    data: bytes = b"",
    kept: Path | None = None,
    **changes,
) -> AsyncIterator[tuple[Agent, Caller]]:
    """An agent called `cam` in `yard`, and somebody who asks it."""
    network = network or MemoryNetwork()
    caller = Caller(MemoryBus(network))
    fields = {"node": "cam", "site": "yard", "hardware": "box", "measure_s": 0, **changes}
    with TemporaryDirectory() as folder:
        async with (
            caller.bus.subscribe(caller.inbox, caller.got),
            running(
                AgentConfig(**{"state_dir": Path(folder), **fields}),
                MemoryBus(network),
                clock or ManualClock(),
                a_store(*(variants or (quick(),)), data=data),
                profiles=Profiles(kept or Path(folder)),
                load=load or Loads(),
            ) as agent,
        ):
            yield agent, caller
