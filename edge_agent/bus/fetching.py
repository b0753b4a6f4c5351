"""The taker's side of a frame too large for one message: some pieces in flight, until it is whole.

Bounded: so many bytes at once, others wait for room. What is lost is asked for again; what nobody
keeps any more, or comes from nobody, is given up. Decoding and handing over is the bus's business.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.bus.base import Delivery
from edge_agent.bus.keeping import Publish
from edge_agent.bus.timers import Timer, Timers
from protocol.blobs import Fetch, Parcel, Piece
from protocol.codec import MAX_FRAME_BYTES, Bytes, Frame
from protocol.errors import MeshError
from protocol.parcels import LEAST_PIECE_BYTES, MAX_WHOLE_BYTES

log = logging.getLogger(__name__)

MAX_COMING_BYTES = 256 << 20
"""Of all parcels that are being fetched; more wait for room."""
MAX_WAITING = 1024
"""Offers that wait for room; more are passed over, and their askers look elsewhere."""
WINDOW = 4
"""Pieces in flight: enough that a link of some milliseconds is never idle."""
STALL_S = 2.0
"""Without a piece for so long, what is missing is asked for again; then twice as long, and on."""
STALLS = 3

Arrived = Callable[[Delivery, bytearray, float], None]
"""Told of each frame that is whole: its parcel as it came, its bytes, and how many ms it took."""


@dataclass(slots=True, eq=False)
class _Coming:
    offer: Delivery
    parcel: Parcel
    arrived: Arrived
    begun: float
    place: str
    """Where its pieces are sent to: a subject of our own."""
    bytes_: bytearray = field(default_factory=bytearray)
    next: int = 0
    out: set[int] = field(default_factory=set)
    stalls: int = 0
    timer: Timer | None = None


class Fetching:
    """The mutable state is the parcels on their way, those that wait for room, and their bytes."""

    def __init__(self, publish: Publish, inbox: str, timers: Timers) -> None:
        self.nbytes = 0
        self._publish = publish
        self._inbox = inbox
        self._timers = timers
        self._coming: dict[str, _Coming] = {}
        self._waiting: deque[_Coming] = deque()

    def __repr__(self) -> str:
        waiting = f"{len(self._waiting)} waiting"
        return f"<Fetching {len(self._coming)} parcels | {self.nbytes >> 20} MiB | {waiting}>"

    def offered(self, offer: Delivery, parcel: Parcel, arrived: Arrived) -> None:
        """Begin to fetch it, now or when there is room; `arrived` is told when it is whole."""
        sound = 0 < parcel.size <= MAX_WHOLE_BYTES
        if not sound or not offer.reply or not LEAST_PIECE_BYTES <= parcel.piece <= MAX_FRAME_BYTES:
            log.warning("passed over a parcel of %d bytes on %s", parcel.size, offer.subject)
            return
        if parcel.id in self._coming or len(self._waiting) >= MAX_WAITING:
            return
        place = f"{self._inbox}.{parcel.id}"
        coming = _Coming(offer, parcel, arrived, self._timers.time(), place)
        self._waiting.append(coming)
        self._begin()

    def piece(self, piece: Piece, buffer: Bytes) -> None:
        """Take a piece; one that nobody asked for is dropped."""
        coming = self._coming.get(piece.id)
        if coming is None:
            return
        if not piece.size:
            log.warning("a parcel from %s is not kept any more", coming.offer.subject)
            self._end(coming)
            return
        end = min(coming.parcel.size, piece.start + coming.parcel.piece)
        if piece.start not in coming.out or piece.size != end - piece.start:
            return
        coming.bytes_[piece.start : end] = buffer
        coming.out.remove(piece.start)
        coming.stalls = 0
        self._ask_more(coming)
        if coming.out:
            self._watch(coming)
        else:
            self._whole(coming)

    def lost(self, place: str) -> None:
        """Nobody is there to send what was to come to `place`."""
        coming = self._coming.get(place.rpartition(".")[2])
        if coming is not None:
            self._end(coming)

    def forget(self, arrived: Arrived) -> None:
        """Give up what `arrived` was to be told of."""
        self._waiting = deque(each for each in self._waiting if each.arrived != arrived)
        for coming in tuple(self._coming.values()):
            if coming.arrived == arrived:
                self._end(coming)

    def close(self) -> None:
        self._waiting.clear()
        for coming in tuple(self._coming.values()):
            self._end(coming)

    def _begin(self) -> None:
        """Fetch those that wait, in order, while there is room."""
        while self._waiting:
            size = self._waiting[0].parcel.size
            if self.nbytes + size > MAX_COMING_BYTES:
                return
            coming = self._waiting.popleft()
            self.nbytes += size
            coming.bytes_ = bytearray(size)
            self._coming[coming.parcel.id] = coming
            self._ask_more(coming)
            self._watch(coming)

    def _ask_more(self, coming: _Coming) -> None:
        while len(coming.out) < WINDOW and coming.next < coming.parcel.size:
            start = coming.next
            coming.next += coming.parcel.piece
            coming.out.add(start)
            self._ask(coming, start)

    def _ask(self, coming: _Coming, start: int) -> None:
        fetch = Frame(Fetch(id=coming.parcel.id, start=start))
        try:
            self._publish(coming.offer.reply, fetch, coming.place)
        except MeshError as error:
            log.debug("a piece is not asked for: %s", error)  # it will be when it stalls

    def _watch(self, coming: _Coming) -> None:
        if coming.timer is not None:
            coming.timer.cancel()
        wait_s = STALL_S * 2**coming.stalls
        coming.timer = self._timers.call_later(wait_s, lambda: self._stalled(coming))

    def _stalled(self, coming: _Coming) -> None:
        coming.stalls += 1
        if coming.stalls > STALLS:
            log.warning("a parcel from %s does not arrive", coming.offer.subject)
            self._end(coming)
            return
        for start in sorted(coming.out):
            self._ask(coming, start)
        self._watch(coming)

    def _whole(self, coming: _Coming) -> None:
        """Say that it is here, then hand it over."""
        self._ask(coming, coming.parcel.size)
        took_ms = (self._timers.time() - coming.begun) * 1e3
        bytes_ = coming.bytes_
        self._end(coming)
        coming.arrived(coming.offer, bytes_, took_ms)

    def _end(self, coming: _Coming) -> None:
        del self._coming[coming.parcel.id]
        self.nbytes -= coming.parcel.size
        coming.bytes_ = bytearray()
        if coming.timer is not None:
            coming.timer.cancel()
        self._begin()
