"""One question, one reply, over any bus: the part of `Bus.request` that every bus shares."""

import asyncio
from itertools import count

from edge_agent.bus.base import Bus, Delivery
from protocol.codec import Frame
from protocol.errors import UnreachableError


class Requests:
    """The questions that wait for a reply on one inbox. Its owner subscribes `pattern`."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[Frame | None]] = {}

    @property
    def pattern(self) -> str:
        return f"{self.inbox}.*"

    def deliver(self, delivery: Delivery) -> None:
        """Hand a reply to whoever waits for it; one that comes too late is dropped."""
        waiting = self._waiting.pop(delivery.subject, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(delivery.frame)

    async def ask(self, bus: Bus, subject: str, frame: Frame, timeout_s: float) -> Frame:
        """Publish and wait; raise `UnreachableError` when nobody answers in time."""
        reply = f"{self.inbox}.{next(self._numbers)}"
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[reply] = waiting
        try:
            bus.publish(subject, frame, reply)
            async with asyncio.timeout(timeout_s):
                answer: Frame | None = await waiting
        except TimeoutError as error:
            raise UnreachableError(f"no reply on {subject} in {timeout_s:g} s") from error
        finally:
            self._waiting.pop(reply, None)
        if answer is None:
            raise UnreachableError(f"nobody listens on {subject}")
        return answer
