"""Two buses as one: parties in this process by memory, everybody else by the other bus.

Frames between a gate and the node in its own process are neither encoded nor sent. When the other
bus is cut off, they still arrive.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent.bus.base import Bus, Handler
from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.bus.requests import Requests
from protocol.codec import Frame
from protocol.errors import MeshError
from protocol.subjects import ROOT, AdvertSubject, EventSubject, SummarySubject

log = logging.getLogger(__name__)

_TO_ALL = tuple(f"{ROOT}.{kind.word}." for kind in (AdvertSubject, EventSubject, SummarySubject))
"""Said to whoever listens, here and elsewhere. All other subjects have one taker."""


class JoinedBus:
    """The mutable state is which subjects somebody in this process has subscribed to."""

    def __init__(self, far: Bus) -> None:
        self._far = far
        self._near = MemoryBus(MemoryNetwork())
        self._patterns: list[tuple[str, ...]] = []
        self._known: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"<JoinedBus memory, {self._far!r}>"

    @property
    def connected(self) -> bool:
        """Of the other bus: what is in this process is always reached."""
        return self._far.connected

    def inbox(self) -> str:
        return self._far.inbox()

    def publish(self, subject: str, frame: Frame, reply: str = "") -> None:
        if subject.startswith(_TO_ALL):
            self._near.publish(subject, frame)
            self._to_others(subject, frame)
        elif self._here(subject):
            self._near.publish(subject, frame, reply)
        else:
            self._far.publish(subject, frame, reply)

    @asynccontextmanager
    async def subscribe(
        self, subject: str, handler: Handler, queue: str = ""
    ) -> AsyncIterator[None]:
        async with (
            self._far.subscribe(subject, handler, queue),
            self._subscribe_here(subject, handler, queue),
        ):
            yield

    async def request(self, subject: str, frame: Frame, timeout_s: float) -> Frame:
        if not self._here(subject):
            return await self._far.request(subject, frame, timeout_s)
        requests = Requests(self.inbox())
        async with self._subscribe_here(requests.pattern, requests.deliver):
            return await requests.ask(self, subject, frame, timeout_s)

    async def rtt_s(self) -> float:
        """Of a party in this process to its router: none."""
        return 0.0

    @asynccontextmanager
    async def _subscribe_here(
        self, subject: str, handler: Handler, queue: str = ""
    ) -> AsyncIterator[None]:
        pattern = tuple(subject.split("."))
        async with self._near.subscribe(subject, handler, queue):
            self._patterns.append(pattern)
            self._known.clear()
            try:
                yield
            finally:
                self._patterns.remove(pattern)
                self._known.clear()

    def _to_others(self, subject: str, frame: Frame) -> None:
        try:
            self._far.publish(subject, frame)
        except MeshError as error:
            log.debug("not told to others: %s", error)

    def _here(self, subject: str) -> bool:
        """Whether somebody in this process takes `subject`."""
        known = self._known.get(subject)
        if known is None:
            if len(self._known) > 4096:  # noqa: PLR2004  # inboxes are many: start afresh
                self._known.clear()
            tokens = subject.split(".")
            known = self._known[subject] = any(
                len(pattern) == len(tokens)
                and all(want in ("*", token) for want, token in zip(pattern, tokens, strict=True))
                for pattern in self._patterns
            )
        return known
