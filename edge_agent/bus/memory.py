"""A bus in one process: the rules of NATS without sockets. Frames are handed over, not encoded."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from edge_agent.bus.base import Delivery, Handler
from edge_agent.bus.requests import Requests
from protocol.codec import Frame
from protocol.errors import TooLargeError, UnreachableError
from protocol.parcels import MAX_WHOLE_BYTES

_log = logging.getLogger(__name__)

_REMEMBERED = 4096
"""Subjects whose subscribers are remembered; more (reply inboxes are many) start afresh."""


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    pattern: tuple[str, ...]
    handler: Handler
    queue: str

    def matches(self, tokens: list[str]) -> bool:
        return len(tokens) == len(self.pattern) and all(
            want in ("*", token) for want, token in zip(self.pattern, tokens, strict=True)
        )


class MemoryNetwork:
    """What joins several `MemoryBus`es: all subscriptions, and what is on its way to them.

    The mutable state is the subscriptions, the deliveries on their way, and `cut`.
    """

    def __init__(self) -> None:
        self.cut: set[str] = set()
        """Prefixes of subjects that are unreachable: what is published there vanishes."""
        self._subscriptions: list[_Subscription] = []
        self._found: dict[str, tuple[_Subscription, ...]] = {}
        self._turns = count()
        self._inboxes = count(1)
        self._due: deque[Callable[[], None] | tuple[Handler, Delivery]] = deque()
        self._scheduled = False

    def __repr__(self) -> str:
        return f"<MemoryNetwork {len(self._subscriptions)} subscribed | {len(self._due)} due>"

    def new_inbox(self) -> str:
        return f"_INBOX.{next(self._inboxes)}"

    def add(self, subscription: _Subscription) -> None:
        self._subscriptions.append(subscription)
        self._found.clear()

    def remove(self, subscription: _Subscription) -> None:
        self._subscriptions.remove(subscription)
        self._found.clear()

    def send(self, subject: str, frame: Frame, reply: str) -> None:
        """Put a frame on its way to each subscriber, or a ``None`` on its way to `reply`."""
        if self.cut and subject.startswith(tuple(self.cut)):
            return
        takers = self._takers(subject)
        delivery = Delivery(subject, frame, reply)
        if not takers and reply:
            takers, delivery = self._takers(reply), Delivery(reply, None)
        for taker in takers:
            self.post((taker.handler, delivery))

    def post(self, item: Callable[[], None] | tuple[Handler, Delivery]) -> None:
        """Run `item` in the next turn of the loop, after what was posted before it."""
        self._due.append(item)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        """Deliver what was on its way when the turn began; what that starts comes in the next."""
        self._scheduled = False
        due, self._due = self._due, deque()
        for item in due:
            try:
                if isinstance(item, tuple):
                    item[0](item[1])
                else:
                    item()
            except Exception:  # noqa: BLE001  # a handler's fault must not lose what others were sent
                _log.exception("a handler failed")

    def _takers(self, subject: str) -> tuple[_Subscription, ...]:
        """Every plain subscriber, and of each queue group the next in turn."""
        found = self._found.get(subject)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            tokens = subject.split(".")
            found = tuple(each for each in self._subscriptions if each.matches(tokens))
            self._found[subject] = found
        if any(each.queue for each in found):
            return self._one_of_each_queue(found)
        return found

    def _one_of_each_queue(self, found: tuple[_Subscription, ...]) -> tuple[_Subscription, ...]:
        groups: dict[str, list[_Subscription]] = {}
        for each in found:
            if each.queue:
                groups.setdefault(each.queue, []).append(each)
        turn = next(self._turns)
        chosen = (members[turn % len(members)] for members in groups.values())
        return (*(each for each in found if not each.queue), *chosen)


class MemoryBus:
    """One party's end of a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    @property
    def connected(self) -> bool:
        return True

    def inbox(self) -> str:
        return self._network.new_inbox()

    def publish(self, subject: str, frame: Frame, reply: str = "") -> None:
        if sum(map(len, frame.buffers)) > MAX_WHOLE_BYTES:
            raise TooLargeError("too large a frame", f"at most {MAX_WHOLE_BYTES} bytes; send less")
        self._network.send(subject, frame, reply)

    @asynccontextmanager
    async def subscribe(
        self, subject: str, handler: Handler, queue: str = ""
    ) -> AsyncIterator[None]:
        subscription = _Subscription(tuple(subject.split(".")), handler, queue)
        self._network.add(subscription)
        try:
            yield
        finally:
            self._network.remove(subscription)
            await self._settled()

    async def request(self, subject: str, frame: Frame, timeout_s: float) -> Frame:
        if self._network.cut and subject.startswith(tuple(self._network.cut)):
            raise UnreachableError(f"{subject} is cut off")
        requests = Requests(self.inbox())
        async with self.subscribe(requests.pattern, requests.deliver):
            return await requests.ask(self, subject, frame, timeout_s)

    async def rtt_s(self) -> float:
        return 0.0

    async def _settled(self) -> None:
        """Return when all that is on its way now has been handled."""
        done = asyncio.get_running_loop().create_future()
        self._network.post(lambda: None if done.done() else done.set_result(None))
        await done
