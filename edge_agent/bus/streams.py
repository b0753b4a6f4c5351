"""What a stream is: messages that are kept until somebody has dealt with them. NATS's JetStream.

For what must arrive, once: usage, events. Not for queries, nor for what nodes tell of themselves.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

Deal = Callable[[str, bytes], Awaitable[None]]
"""Deals with a message: its subject, and what it says."""


class Most(NamedTuple):
    """What a stream takes before somebody has dealt with it: no sender fills it for the others."""

    messages: int
    """On one subject, which is one sender."""
    bytes: int
    """Of a message."""


class Streams(Protocol):
    """Where streams are kept."""

    async def put(self, subject: str, data: bytes, message_id: str) -> None:
        """Return once it is kept. Of equal ids in short succession one is.

        Raises `UnreachableError` when it is not kept, or nobody says so: then it may be, or not.
        """
        ...

    async def take(
        self, stream: str, subject: str, deal: Deal, *, most: Most | None = None
    ) -> None:
        """Hand every message on `subject` to `deal`, in order, for ever; the stream is made.

        With `most`, what a sender puts beyond that is not kept, and the sender told so.

        What `deal` has returned from is gone; what it was in when the process died comes again.
        """
        ...
