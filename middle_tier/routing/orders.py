"""Has variants loaded that a query would have needed warm. What is worth it: `scheduler.warmth`.

An order is never waited for. What comes of it shows in the node's adverts; a refusal is logged, and
the node is not told to load that variant again for a while.
"""

import logging

from edge_agent.bus.base import Bus, Delivery
from edge_agent.clock import Clock
from middle_tier.scheduler.types import Candidate
from middle_tier.scheduler.warmth import Refuser
from protocol.codec import Frame
from protocol.errors import MeshError
from protocol.messages import Done, Order
from protocol.subjects import ControlSubject

log = logging.getLogger(__name__)

AGAIN_S = 5.0
"""One order for a variant in so long, however many queries miss it."""

REFUSED_S = 30.0
"""How long a node that would not load a variant is left alone with it: as agents retry."""


def is_due(last: float | None, now: float) -> bool:
    """Whether to order a load, the last order for that variant being of `last`."""
    return last is None or now - last >= AGAIN_S


class Orders:
    """The mutable state is when each variant was ordered last and of whom, and who refused."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._inbox = bus.inbox()
        self._replies: dict[str, str] = {}
        """Where the reply to each variant's order goes: as many as there are variants."""
        self._last: dict[str, tuple[float, Candidate]] = {}
        """By that reply subject."""
        self._refused: dict[Refuser, float] = {}

    def __repr__(self) -> str:
        return f"<Orders {len(self._last)} variants | {len(self._refused)} refused>"

    @property
    def pattern(self) -> str:
        """What `hear` is to be subscribed to."""
        return f"{self._inbox}.*"

    def refusers(self) -> frozenset[Refuser]:
        """Who would not load what, lately."""
        now = self._clock.now()
        self._refused = {each: at for each, at in self._refused.items() if now - at < REFUSED_S}
        return frozenset(self._refused)

    def load(self, candidate: Candidate) -> bool:
        """Order the load unless that was done a moment ago. False: it cannot be ordered."""
        now, variant = self._clock.now(), candidate.variant
        reply = self._replies.setdefault(variant, f"{self._inbox}.{len(self._replies)}")
        last = self._last.get(reply)
        if not is_due(last[0] if last else None, now):
            return True
        subject = str(ControlSubject(candidate.site, candidate.node, "load"))
        try:
            self._bus.publish(subject, Frame(Order(variant=variant)), reply)
        except MeshError as error:
            log.warning("cannot have %s load %s: %s", candidate.node, variant, error)
            return False
        log.info("%s is to load %s: a query missed it", candidate.node, variant)
        self._last[reply] = now, candidate
        return True

    def hear(self, delivery: Delivery) -> None:
        """Take what comes of an order."""
        last = self._last.get(delivery.subject)
        message = delivery.frame.message if delivery.frame is not None else None
        if last is None or (isinstance(message, Done) and message.ok):
            return
        at, one = last
        why = message.detail if isinstance(message, Done) else "nobody listens there"
        log.warning("%s does not load %s: %s", one.node, one.variant, why)
        self._refused[one.variant, one.site, one.node] = self._clock.now()
        self._last[delivery.subject] = at - AGAIN_S, one  # another node may be told at once
