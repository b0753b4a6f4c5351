"""Asking the node in one's own process: by calls, without a frame and without a turn of the loop.

What it means is the same as over a bus: each ask gets exactly one reply, together with the others
of its turn, and never from within the call that asked.
"""

from collections.abc import Sequence
from typing import Protocol

from protocol.codec import Bytes
from protocol.messages import Answer, Ask, Refusal

Item = tuple[Answer | Refusal, tuple[Bytes, ...]]
"""A reply, and the bytes of its outputs."""


class Caller(Protocol):
    """Who asked from this process."""

    def hear(self, replies: Sequence[Item]) -> None:
        """Take the replies that were ready together; must neither block nor raise."""
        ...


Where = str | Caller
"""Where a reply goes: an inbox of a bus, or a caller in this process."""


class Near(Protocol):
    """A node in this process."""

    def ask(self, ask: Ask, buffers: tuple[Bytes, ...], caller: Caller) -> None:
        """Admit or refuse it; `caller` hears of it at the end of a later turn of the loop."""
        ...

    def cancel(self, ids: Sequence[str], caller: Caller) -> None:
        """Take out what waits of these; others' asks of the same ids stay."""
        ...
