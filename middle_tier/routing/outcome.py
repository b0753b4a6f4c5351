"""Pure. What comes of a query: an answer and its tensors, or the error that says why none."""

from collections.abc import Callable

import msgspec

from protocol.codec import Bytes
from protocol.messages import Answer


class Outcome(msgspec.Struct, frozen=True):
    """One of the two."""

    answer: Answer | None = None
    buffers: tuple[Bytes, ...] = ()
    error: Exception | None = None
    """Of a router always a `MeshError`."""

    def result(self) -> tuple[Answer, tuple[Bytes, ...]]:
        """Return the answer, or raise the error."""
        if self.answer is None:
            raise self.error or ValueError("neither an answer nor an error")
        return self.answer, self.buffers


Told = Callable[[Outcome], None]
"""Gets what came of a query, once; must neither block nor raise."""
