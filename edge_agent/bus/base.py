"""What a bus is: frames to subjects. Its meaning is `tests/conformance/test_bus.py`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from protocol.codec import Frame


class Delivery(NamedTuple):
    """One frame as it arrived."""

    subject: str
    frame: Frame | None
    """None: nobody listens on the subject that `reply` of a publication of ours came from."""
    reply: str = ""
    """Where an answer to it goes; empty when none is expected."""


Handler = Callable[[Delivery], None]
"""Called on the event loop, in order of arrival per subscription; must neither block nor raise."""


class Bus(Protocol):
    """Carries frames. Delivery is at most once; order holds per publisher and subject.

    Except for frames above `MAX_FRAME_BYTES`: where they travel in pieces others overtake them,
    and of several subscribers only one may take them.
    """

    @property
    def connected(self) -> bool:
        """False while publications would only be held back."""
        ...

    def inbox(self) -> str:
        """A fresh prefix of ours: subscribe to ``<inbox>.*``, let replies go to ``<inbox>.<n>``."""
        ...

    def publish(self, subject: str, frame: Frame, reply: str = "") -> None:
        """Hand a frame over; never waits.

        With `reply`, and nobody subscribed to `subject`, a `Delivery` with ``frame=None`` arrives
        on `reply` at once. Raises `TooLargeError` above `MAX_WHOLE_BYTES`, `BusyError` while too
        many large frames are under way, `UnreachableError` when not connected.
        """
        ...

    def subscribe(
        self, subject: str, handler: Handler, queue: str = ""
    ) -> AbstractAsyncContextManager[None]:
        """Deliver what arrives on `subject` (``*`` stands for one token) until the block ends.

        Of several subscriptions with the same `queue`, one gets each frame. On entry the
        subscription is in force. On exit what has arrived has been handled.
        """
        ...

    async def request(self, subject: str, frame: Frame, timeout_s: float) -> Frame:
        """Publish and wait for one reply; raise `UnreachableError` (nobody, or too late)."""
        ...

    async def rtt_s(self) -> float:
        """Round trip to the broker, seconds; 0 where there is none."""
        ...
