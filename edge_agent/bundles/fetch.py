"""Bytes from somewhere: ranged, resumable, hashed as they come; never more or slower than promised.

What comes is not believed here: a blob gets its name only if its bytes hash to it, metadata is
trust's to verify.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from edge_agent.bundles.depot import Arrival, Depot
from edge_agent.bundles.sources import Piece, Source
from edge_agent.clock import Clock
from protocol.errors import DeadlineError, TooLargeError, UntrustedError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken, and how slowly."""

    part_bytes: int = 256 << 10
    """Asked for at once. More is fewer messages, and longer waits for others on the link."""
    ahead: int = 6
    """Parts asked for before the first has come: hides the round trip."""
    min_bytes_per_s: float = 8_000.0
    """Slower than this for a whole `window_s`, and the source is given up."""
    window_s: float = 30.0
    deadline_s: float = 3600.0
    """For one file; what has come by then is kept, and gone on with next time."""
    blob_bytes: int = 8 << 30
    """The largest file that is taken at all."""


class Pace:
    """Pure state: whether bytes come fast enough. Raises when they do not."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._end = now + limits.deadline_s
        self._window_end = now + limits.window_s
        self._received = 0

    def took(self, size_bytes: int, now: float) -> None:
        """Count what has come; raise `DeadlineError` when it is too slow."""
        self._received += size_bytes
        # 1. The whole does not take longer than it may.
        if now > self._end:
            raise DeadlineError(f"not here within {self._limits.deadline_s:g} s")
        # 2. Nor does it drip.
        if now >= self._window_end:
            if self._received < self._limits.min_bytes_per_s * self._limits.window_s:
                raise DeadlineError(f"slower than {self._limits.min_bytes_per_s:g} bytes a second")
            self._received, self._window_end = 0, now + self._limits.window_s


async def fetch(
    source: Source,
    depot: Depot,
    clock: Clock,
    *,
    digest: str,
    size_bytes: int,
    limits: Limits,
) -> None:
    """Have the blob in the depot; raise `MeshError` when this source does not give it.

    What has come is kept when it breaks off. When what was kept turns out to be wrong, it is
    fetched once more from the start.
    """
    if await asyncio.to_thread(depot.has, digest):
        return
    # 1. It is not larger than anything may be.
    if size_bytes > limits.blob_bytes:
        raise TooLargeError(f"{digest} has {size_bytes} bytes, at most {limits.blob_bytes}")
    arrival = await asyncio.to_thread(depot.begin, digest, size_bytes)
    resumed = arrival.size_bytes > 0
    try:
        await _arrive(source, arrival, clock, Wanted(digest, size_bytes, limits))
    except UntrustedError:
        if not resumed:
            raise
        await fetch(source, depot, clock, digest=digest, size_bytes=size_bytes, limits=limits)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob, and how it may come."""

    digest: str
    size_bytes: int
    limits: Limits


async def _arrive(source: Source, arrival: Arrival, clock: Clock, wanted: Wanted) -> None:
    """Ask for several parts at a time; hash and write those while the next are on their way."""
    pace = Pace(wanted.limits, clock.now())
    here: list[Piece] = []
    for ranges in chain(_rounds(arrival.size_bytes, wanted), ([],)):
        reads = [_read(source, wanted, offset, length) for offset, length in ranges]
        taking = asyncio.create_task(asyncio.to_thread(_take, arrival, here))
        try:
            pieces = await together(*reads)
        finally:  # a thread goes on writing whoever gives up: not behind the back of the next try
            await asyncio.wait((taking,))
        taking.result()
        here = pieces
        pace.took(sum(len(piece.data) for piece in here), clock.now())
    await asyncio.to_thread(arrival.finish)


def _take(arrival: Arrival, pieces: Sequence[Piece]) -> None:
    for piece in pieces:
        arrival.take(piece.data)


def _rounds(start: int, wanted: Wanted) -> Iterator[list[tuple[int, int]]]:
    """Pure. Offsets and lengths of the parts that are missing, those asked for together a list."""
    step = wanted.limits.part_bytes
    whole = step * wanted.limits.ahead
    for first in range(start, wanted.size_bytes, whole):
        last = min(first + whole, wanted.size_bytes)
        yield [(offset, min(step, last - offset)) for offset in range(first, last, step)]


async def _read(source: Source, wanted: Wanted, offset: int, length: int) -> Piece:
    piece = await source.read(wanted.digest, offset, length)
    # 2. It has the length that was signed for; a source that has more gives it in vain.
    if piece.total_bytes != wanted.size_bytes:
        raise UntrustedError(
            f"{wanted.digest} has {piece.total_bytes} bytes there, {wanted.size_bytes} signed for"
        )
    return exactly(piece, offset, length)


async def together(*work: Coroutine[Any, Any, Piece]) -> list[Piece]:
    """Return what each returns; when one fails the others are cancelled, and its error raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(each) for each in work]
    except BaseExceptionGroup as group:
        raise group.exceptions[0]  # noqa: B904  # the same error: a group around it says nothing
    return [task.result() for task in made]


def exactly(piece: Piece, offset: int, length: int) -> Piece:
    """Pure. Return the piece if it is the one asked for; a source gives neither more nor others."""
    # 3. It is the range that was asked for.
    if piece.offset != offset or len(piece.data) != length:
        raise UntrustedError(
            f"{len(piece.data)} bytes at {piece.offset} came, {length} at {offset} were asked for"
        )
    return piece


async def metadata(
    source: Source, name: str, clock: Clock, *, at_most: int, limits: Limits
) -> bytes:
    """Return a metadata file of at most so many bytes; raise `MeshError` when it is longer."""
    pace = Pace(limits, clock.now())
    parts = []
    have, total = 0, 1
    while have < total:
        piece = await source.read(name, have, limits.part_bytes)
        total = piece.total_bytes
        # 4. It is not longer than such a file may be.
        if total > at_most:
            raise TooLargeError(f"{name} has {total} bytes there, at most {at_most}")
        exactly(piece, have, min(limits.part_bytes, total - have))
        parts.append(piece.data)
        have += len(piece.data)
        pace.took(len(piece.data), clock.now())
    return b"".join(parts)
