"""The sender's side of a frame too large for one message: offered, kept, handed out in pieces.

Bounded: so many bytes at once, each for as long as anybody can wait for it. Fetching is fetching's.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count
from secrets import token_hex

from edge_agent.bus.timers import Timer, Timers
from protocol.blobs import Fetch, Parcel, Piece
from protocol.codec import Bytes, Frame, header
from protocol.errors import BusyError, MeshError, TooLargeError
from protocol.messages import Asks, Message, Query
from protocol.parcels import MAX_WHOLE_BYTES, PIECE_BYTES, Whole, patience_ms

log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 256 << 20
"""Of all parcels together; more are refused."""
IDLE_S = 10.0
"""Kept no longer than this without anybody fetching."""
PIECE_HEADER_BYTES = 4096
"""More than the header of a piece takes."""

Publish = Callable[[str, Frame, str], None]
"""Subject, a frame that fits a message, reply. Raises `MeshError` when it cannot be sent."""


@dataclass(slots=True, eq=False)
class _Kept:
    whole: Whole
    piece: int
    reply: str
    """Where it is fetched."""
    ids: set[str]
    """Of the asks in it that somebody still waits for."""
    answered: bool
    until: float
    fetched_at: float
    timer: Timer | None = None


class Keeping:
    """The mutable state is the parcels that are kept, and how many bytes they are."""

    def __init__(self, publish: Publish, place: str, timers: Timers) -> None:
        self.nbytes = 0
        self._publish = publish
        self._place = place
        """Where frames are fetched that expect no reply: a subject of our own."""
        self._timers = timers
        self._kept: dict[str, _Kept] = {}
        self._name = token_hex(8)
        self._numbers = count(1)

    def __repr__(self) -> str:
        return f"<Keeping {len(self._kept)} parcels | {self.nbytes >> 20} MiB>"

    def __len__(self) -> int:
        return len(self._kept)

    def offer(self, subject: str, frame: Frame, reply: str, most: int) -> None:
        """Keep `frame`, and say so on `subject`; `most` is what one message may carry.

        Raises `TooLargeError` for what no gate takes either, `BusyError` when too much is kept.
        """
        whole = Whole((header(frame), *frame.buffers))
        if whole.size > MAX_WHOLE_BYTES:
            raise TooLargeError(
                f"a frame of {whole.size} bytes", f"at most {MAX_WHOLE_BYTES}; send fewer rows"
            )
        if self.nbytes + whole.size > MAX_KEPT_BYTES:
            raise BusyError(
                f"{self.nbytes >> 20} MiB of large tensors are under way", "ask again in a moment"
            )
        now = self._timers.time()
        key = f"{self._name}-{next(self._numbers)}"
        piece = min(PIECE_BYTES, most - PIECE_HEADER_BYTES)
        parcel = Parcel(id=key, size=whole.size, piece=piece, answered=bool(reply))
        where = reply or self._place
        self._publish(subject, Frame(parcel), where)
        until = now + patience_ms(frame.message) / 1e3
        kept = _Kept(whole, piece, where, _ids(frame.message), bool(reply), until, now)
        self._kept[key] = kept
        self.nbytes += whole.size
        self._watch(key, kept)

    def fetched(self, fetch: Fetch, reply: str) -> None:
        """Send the piece that was asked for, or nothing of it when it is not kept."""
        kept = self._kept.get(fetch.id)
        if kept is not None and fetch.start >= kept.whole.size:
            self._drop(fetch.id)
            return
        data: Bytes = b""
        if kept is not None:
            kept.fetched_at = self._timers.time()
            data = kept.whole.piece(fetch.start, kept.piece)
        piece = Piece(id=fetch.id, start=fetch.start, size=len(data))
        try:
            self._publish(reply, Frame(piece, (data,)), "")
        except MeshError as error:
            log.debug("a piece is not sent: %s", error)  # it is asked for again

    def lost(self, reply: str) -> None:
        """Nobody listens where something was offered whose replies go to `reply`."""
        for key in [key for key, kept in self._kept.items() if kept.reply == reply]:
            self._drop(key)

    def cancelled(self, ids: Collection[str]) -> None:
        """Nobody waits for these asks any more."""
        for key, kept in tuple(self._kept.items()):
            if kept.ids:
                kept.ids.difference_update(ids)
                if not kept.ids:
                    self._drop(key)

    @property
    def owed(self) -> int:
        """Parcels that somebody else waits for: they are not questions of ours."""
        return sum(not kept.answered for kept in self._kept.values())

    def close(self) -> None:
        for key in tuple(self._kept):
            self._drop(key)

    def _watch(self, key: str, kept: _Kept) -> None:
        """Drop it when its time is over."""
        now = self._timers.time()
        end = min(kept.until, kept.fetched_at + IDLE_S)
        if end <= now:
            log.warning("a frame of %d bytes was not fetched in time", kept.whole.size)
            self._drop(key)
            return
        kept.timer = self._timers.call_later(end - now, lambda: self._watch(key, kept))

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key)
        self.nbytes -= kept.whole.size
        if kept.timer is not None:
            kept.timer.cancel()


def _ids(message: Message) -> set[str]:
    match message:
        case Asks(items=items):
            return {item.id for item in items}
        case Query(id=id_):
            return {id_}
        case _:
            return set()
