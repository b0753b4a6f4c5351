"""Frames too large for one message, on one connection: both sides, and what they say to each other.

The talk of parcels is between buses: no subscriber ever sees it.
"""

import asyncio

from edge_agent.bus.base import Delivery
from edge_agent.bus.fetching import Arrived, Fetching
from edge_agent.bus.keeping import Keeping, Publish
from edge_agent.bus.timers import Timers
from protocol.blobs import Fetch, Parcel, Piece
from protocol.codec import Frame
from protocol.messages import Cancel

LINGER_S = 5.0
"""How long a connection that is to end stays for those who fetch an answer."""
_LOOK_S = 0.02
TALK = (Parcel, Fetch, Piece)


class Parcels:
    """What is kept, and what is fetched. `inbox` is a prefix of ours that is subscribed to."""

    def __init__(self, publish: Publish, inbox: str, timers: Timers) -> None:
        self._timers = timers
        self._keeping = Keeping(publish, f"{inbox}.offers", timers)
        self._fetching = Fetching(publish, inbox, timers)

    def __repr__(self) -> str:
        return f"<Parcels {self._keeping!r} {self._fetching!r}>"

    def offer(self, subject: str, frame: Frame, reply: str, most: int) -> None:
        """Send a frame that takes more than `most` bytes; raises as `Keeping.offer`."""
        self._keeping.offer(subject, frame, reply, most)

    def sending(self, frame: Frame) -> None:
        """Look at what is published: what is cancelled need not be kept."""
        if len(self._keeping) and isinstance(frame.message, Cancel):
            self._keeping.cancelled(frame.message.ids)

    def take(self, delivery: Delivery, arrived: Arrived) -> bool:
        """Take what is said about parcels; False: it is something else."""
        if delivery.frame is None:
            self._keeping.lost(delivery.subject)
            self._fetching.lost(delivery.subject)
            return False
        match delivery.frame.message:
            case Parcel() as parcel:
                self._fetching.offered(delivery, parcel, arrived)
            case Fetch() as fetch:
                self._keeping.fetched(fetch, delivery.reply)
            case Piece() as piece:
                self._fetching.piece(piece, delivery.frame.buffers[0])
            case _:
                return False
        return True

    def forget(self, arrived: Arrived) -> None:
        """Nobody takes what it would be told of."""
        self._fetching.forget(arrived)

    async def fetched(self) -> None:
        """Return when nobody has anything to fetch that is no question of ours; not for ever."""
        end = self._timers.time() + LINGER_S
        while self._keeping.owed and self._timers.time() < end:  # noqa: ASYNC110  # rare, and short
            await asyncio.sleep(_LOOK_S)

    def close(self) -> None:
        self._keeping.close()
        self._fetching.close()
