"""Asks on their way: gathered per node, sent, and matched with their replies.

A node in this process is asked by a call, and its replies come as one: no frame, no gathering.
Whom to ask, and what a reply means, is `pursuit`'s business.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from edge_agent.bus.base import Bus, Delivery
from edge_agent.near import Item, Near
from middle_tier.scheduler.types import Candidate
from protocol.codec import GATHER_BYTES, Bytes, Frame
from protocol.errors import MeshError, UnreachableError
from protocol.messages import Answer, Ask, Asks, Cancel, Query, Replies, Reply

Buffers = tuple[Bytes, ...]

GATHER_ASKS = 16
"""Asks in one frame at most. So many share the price of a message (150 microseconds at both ends)
well enough; what comes after them in the same turn is read while the node runs these."""


class Asker(Protocol):
    """Who sent something and wants to hear what came of it."""

    def replied(self, sent: "Sent", reply: Reply, buffers: Buffers) -> None: ...

    def unreached(self, sent: "Sent", error: MeshError) -> None:
        """It did not arrive, or nobody is there any more to answer it."""
        ...


class Sent:
    """One ask (or query) that is out, until its reply comes or it is forgotten."""

    __slots__ = ("asker", "at", "candidate", "id", "rows", "target")

    def __init__(self, asker: Asker, candidate: Candidate | None, rows: int, at: float) -> None:
        self.id = ""
        self.asker = asker
        self.candidate = candidate
        """None: a query handed to the parent site."""
        self.rows = rows
        self.at = at
        self.target: Target


class Target:
    """A subject that we ask, and what we wait for from there."""

    __slots__ = (
        "_outbox", "asks", "buffers", "cancels", "nbytes", "near", "ready", "reply", "subject",
        "waiting",
    )  # fmt: skip

    def __init__(self, outbox: "Outbox", subject: str, reply: str, near: Near | None) -> None:
        self._outbox = outbox
        self.subject = subject
        self.reply = reply
        self.near = near
        """The node itself, when it is in this process."""
        self.waiting: dict[str, Sent] = {}
        self.ready = False
        """It stands in the list of what this turn of the loop sends."""
        self.asks: list[Ask] = []
        self.buffers: list[Bytes] = []
        self.nbytes = 0
        self.cancels: list[str] = []

    def hear(self, replies: Iterable[Item]) -> None:
        """Tell those who wait."""
        self._outbox.alive(self)
        waiting = self.waiting
        for reply, buffers in replies:
            sent = waiting.pop(reply.id, None)
            if sent is None:
                self._outbox.counts["unmatched"] += 1
            else:
                sent.asker.replied(sent, reply, buffers)


class Outbox:
    """Sends asks, those to one node that are ready in one turn of the loop together.

    The mutable state is the targets, each with what it waits for, and the turn's ready ones.
    Replies arrive on ``<inbox>.<number of the target>``: `hear` must be subscribed to `pattern`.
    """

    def __init__(
        self, bus: Bus, near: Mapping[str, Near], *, prefix: str, alive: Callable[[Target], None]
    ) -> None:
        self._bus = bus
        self._near = near
        """The nodes in this process, by subject."""
        self._prefix = prefix
        """Makes ids of ours unlike those of another router."""
        self.alive = alive
        """Called with each target that is heard of."""
        self._inbox = bus.inbox()
        self._targets: dict[str, Target] = {}
        self._numbered: dict[str, Target] = {}
        self._ready: list[Target] = []
        self._count = 0
        self.counts: Counter[str] = Counter()
        """asks, frames, late (replies that nobody waits for any more), unmatched."""

    def __repr__(self) -> str:
        out = sum(len(target.waiting) for target in self._targets.values())
        return f"<Outbox {out} out | {len(self._targets)} targets>"

    @property
    def pattern(self) -> str:
        """What `hear` is to be subscribed to."""
        return f"{self._inbox}.*"

    def target(self, subject: str) -> Target:
        found = self._targets.get(subject)
        if found is None:
            reply = f"{self._inbox}.{len(self._targets)}"
            found = self._targets[subject] = self._numbered[reply] = Target(
                self, subject, reply, self._near.get(subject)
            )
        return found

    def next_id(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count:x}"

    def send(self, subject: str, ask: Ask, buffers: Buffers, sent: Sent) -> None:
        """Send `ask` to the node at `subject` before this turn of the loop ends."""
        target = self._await(subject, ask.id, sent)
        if target.near is not None:
            target.near.ask(ask, buffers, target)
            return
        nbytes = sum(map(len, buffers))
        if target.asks and target.nbytes + nbytes > GATHER_BYTES:
            self._send_asks(target)
        target.asks.append(ask)
        target.buffers.extend(buffers)
        target.nbytes += nbytes
        if len(target.asks) >= GATHER_ASKS:
            self._send_asks(target)
        else:
            self._soon(target)

    def hand_over(self, subject: str, query: Query, buffers: Buffers, sent: Sent) -> None:
        """Send a whole query to another site's routers, at once."""
        target = self._await(subject, query.id, sent)
        self._publish(target, Frame(query, buffers), (query.id,))

    def cancel(self, sent: Sent) -> None:
        """Say that nobody waits for it any more. A reply, if one comes, is still heard."""
        sent.target.cancels.append(sent.id)
        self._soon(sent.target)

    def forget(self, sent: Sent) -> bool:
        """Wait no longer: a reply after this is unmatched. False: it had been heard."""
        return sent.target.waiting.pop(sent.id, None) is not None

    def lost(self, subject: str, error: MeshError) -> None:
        """Nobody is there: tell everyone who waits for something from `subject`."""
        target = self._targets.get(subject)
        if target is not None:
            self._unreached(target, tuple(target.waiting), error)

    def hear(self, delivery: Delivery) -> None:
        """Take what arrives in our inbox."""
        target = self._numbered.get(delivery.subject)
        if delivery.frame is None:
            if target is not None:
                self.lost(target.subject, UnreachableError("nobody listens there"))
            return
        if target is None:
            return
        message = delivery.frame.message
        target.hear(_each(message, delivery.frame.buffers) if isinstance(message, Replies) else ())

    def _await(self, subject: str, id_: str, sent: Sent) -> Target:
        target = sent.target = self.target(subject)
        sent.id = id_
        target.waiting[id_] = sent
        self.counts["asks"] += 1
        return target

    def _soon(self, target: Target) -> None:
        if target.ready:
            return
        target.ready = True
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._flush)
        self._ready.append(target)

    def _flush(self) -> None:
        ready, self._ready = self._ready, []
        for target in ready:
            target.ready = False
            if target.asks:
                self._send_asks(target)
            if target.cancels:
                ids, target.cancels = tuple(target.cancels), []
                if target.near is not None:
                    target.near.cancel(ids, target)
                else:
                    self._publish(target, Frame(Cancel(ids=ids)), ())

    def _send_asks(self, target: Target) -> None:
        asks, buffers = tuple(target.asks), tuple(target.buffers)
        target.asks, target.buffers, target.nbytes = [], [], 0
        self._publish(target, Frame(Asks(items=asks), buffers), tuple(ask.id for ask in asks))

    def _publish(self, target: Target, frame: Frame, ids: tuple[str, ...]) -> None:
        """Publish; when that fails tell those who sent `ids`, but never from within their call."""
        self.counts["frames"] += 1
        try:
            self._bus.publish(target.subject, frame, target.reply if ids else "")
        except MeshError as error:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._unreached, target, ids, error)

    def _unreached(self, target: Target, ids: tuple[str, ...], error: MeshError) -> None:
        for id_ in ids:
            sent = target.waiting.get(id_)
            if sent is not None:
                sent.asker.unreached(sent, error)


def _each(replies: Replies, buffers: Buffers) -> Iterator[Item]:
    """The replies of a frame, each with its own tensors."""
    start = 0
    for reply in replies.items:
        end = start + (len(reply.outputs) if type(reply) is Answer else 0)
        yield reply, buffers[start:end]
        start = end
