"""Pure. Frames too large for one message: how they are cut into pieces, and age on the way.

Who keeps and who fetches them is the bus's business.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from protocol.codec import MAX_HEADER_BYTES, Bytes
from protocol.messages import Ask, Asks, Message, Query

MAX_TENSOR_BYTES = 64 << 20
"""What a gate takes, and so what the tensors of a frame may come to."""
MAX_WHOLE_BYTES = MAX_TENSOR_BYTES + MAX_HEADER_BYTES
PIECE_BYTES = 1 << 20
"""Short enough that other messages on the connection wait some milliseconds, not for the whole."""
LEAST_PIECE_BYTES = 64 << 10
"""A peer that offers smaller ones would have us ask for ever."""

REPLY_PATIENCE_MS = 10_000.0
LEAST_LEFT_MS = 1e-3


class Whole:
    """A frame's bytes, never joined: cut where they are asked for."""

    def __init__(self, buffers: Sequence[Bytes]) -> None:
        self._buffers = [memoryview(buffer) for buffer in buffers]
        self._ends = list(accumulate(len(buffer) for buffer in buffers))
        self.size = self._ends[-1] if self._ends else 0

    def piece(self, start: int, size: int) -> Bytes:
        """The bytes from `start`, as many as there are up to `size`; a view where that can be."""
        found = [*self._slices(start, min(self.size, start + size))]
        return found[0] if len(found) == 1 else b"".join(found)

    def _slices(self, start: int, stop: int) -> Iterator[memoryview]:
        for buffer, end in zip(self._buffers, self._ends, strict=True):
            begin = end - len(buffer)
            if begin < stop and start < end:
                yield buffer[max(0, start - begin) : stop - begin]


def patience_ms(message: Message) -> float:
    """How long anybody can wait for it: until the last of its deadlines."""
    match message:
        case Asks(items=items):
            return max((item.deadline_ms for item in items), default=0.0)
        case Query(deadline_ms=deadline_ms):
            return deadline_ms
        case _:
            return REPLY_PATIENCE_MS


def aged(message: Message, ms: float) -> Message:
    """The message as it would read had it been sent `ms` later: durations count from the sending.

    What is over is left a moment, so that whoever takes it finds it late by its own rules.
    """
    match message:
        case Asks(items=items):
            return message.but(items=tuple(_aged(ask, ms) for ask in items))
        case Query(want=want, deadline_ms=deadline_ms):
            sooner = want.but(latency_ms=_less(want.latency_ms, ms))
            deadline_ms = _less(deadline_ms, ms)
            return message.but(want=sooner, deadline_ms=deadline_ms)
        case _:
            return message


def _aged(ask: Ask, ms: float) -> Ask:
    return ask.but(budget_ms=_less(ask.budget_ms, ms), deadline_ms=_less(ask.deadline_ms, ms))


def _less(left_ms: float, ms: float) -> float:
    return max(LEAST_LEFT_MS, left_ms - ms)
