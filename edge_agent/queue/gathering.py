"""Few, full messages: the replies that are ready in one turn go back in one frame per asker.

An asker in this process gets them without a frame.
"""

import logging
from collections.abc import Callable

from edge_agent.bus.base import Bus
from edge_agent.near import Caller, Item, Where
from protocol.codec import GATHER_BYTES, Bytes, Frame
from protocol.errors import BusyError, TooLargeError, UnreachableError
from protocol.messages import Answer, Refusal, Replies

log = logging.getLogger(__name__)

GATHER_ITEMS = 512
"""Replies in one frame at most: their header must stay a header."""

Wanted = Callable[[], None]
"""Told when there is something to send at the end of this turn."""


class Gathering:
    """The replies of this turn, by where they go. `flush` sends them; `wanted` asks for that."""

    def __init__(self, bus: Bus) -> None:
        self.wanted: Wanted = _ignored
        self._bus = bus
        self._ready: dict[Where, list[Item]] = {}

    def add(self, reply: Where, item: Answer | Refusal, buffers: tuple[Bytes, ...] = ()) -> None:
        """Send it at the end of this turn; to nobody when the ask said no inbox."""
        if not reply:
            return
        if not self._ready:
            self.wanted()
        self._ready.setdefault(reply, []).append((item, buffers))

    def flush(self) -> None:
        ready, self._ready = self._ready, {}
        for reply, items in ready.items():
            if not isinstance(reply, str):
                _tell(reply, items)
                continue
            if len(items) == 1:
                self._send(reply, items)
                continue
            part: list[Item] = []
            size = 0
            for item in items:
                own = sum(map(len, item[1]))
                if part and (size + own > GATHER_BYTES or len(part) >= GATHER_ITEMS):
                    self._send(reply, part)
                    part, size = [], 0
                part.append(item)
                size += own
            self._send(reply, part)

    def _send(self, reply: str, part: list[Item]) -> None:
        message = Replies(items=tuple([item for item, _ in part]))
        try:
            self._bus.publish(reply, Frame(message, tuple([b for _, own in part for b in own])))
        except UnreachableError as error:
            log.debug("%d replies lost: %s", len(part), error)
        except (TooLargeError, BusyError) as error:
            log.warning("an answer is not sent: %s", error)
            for item, buffers in part:
                if buffers:
                    self._send(reply, [(_instead(item, error.error), ())])


def _tell(caller: Caller, items: list[Item]) -> None:
    try:
        caller.hear(items)
    except Exception:  # a caller's fault must not lose what others wait for
        log.exception("a caller failed")


def _instead(item: Answer | Refusal, why: str) -> Refusal:
    return Refusal(id=item.id, reason="run_failed", detail=f"the answer cannot be sent: {why}")


def _ignored() -> None:
    """Nobody listens yet."""
