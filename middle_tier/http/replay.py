"""The same request id of a tenant is not run twice: duplicates join, or get the answer again.

Only what succeeded is kept: after a refusal or a missed deadline nothing has run, and the caller
may try again under the same id.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec.structs import replace

from edge_agent.clock import Clock
from middle_tier.http.oip import Response
from protocol.errors import ConflictError

Key = tuple[str, str]
"""Tenant and request id."""


class Spawning(Protocol):
    """A task group, or the loop itself: whoever waits for a task ends it."""

    def create_task(
        self, coro: Coroutine[Any, Any, Response], *, name: str
    ) -> asyncio.Task[Response]: ...


@dataclass(slots=True)
class Kept:
    """One request: in flight while `response` is None."""

    digest: bytes
    until: float
    task: asyncio.Task[Response]
    waiting: int = 0
    response: Response | None = None
    nbytes: int = 0


class Replays:
    """Remembers requests by id for `keep_s`, at most so many and so much of them."""

    def __init__(
        self,
        clock: Clock,
        tasks: Spawning,
        *,
        keep_s: float = 60.0,
        max_kept: int = 10_000,
        max_bytes: int = 32 << 20,
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._keep_s = keep_s
        self._max_kept = max_kept
        self._max_bytes = max_bytes
        self._kept: dict[Key, Kept] = {}
        self._nbytes = 0

    def __repr__(self) -> str:
        return f"<Replays {len(self._kept)} kept | {self._nbytes} bytes>"

    def once(
        self, key: Key, digest: bytes, run: Callable[[], Coroutine[Any, Any, Response]]
    ) -> Response | Coroutine[Any, Any, Response]:
        """Return the kept response, or what waits for it; `run` is called for a new id only.

        `digest` tells bodies apart: the same id with another body raises `ConflictError`.
        """
        self._forget_old()
        kept = self._kept.get(key)
        if kept is None or kept.task.cancelling():
            task = self._tasks.create_task(run(), name=f"request {key[1]}")
            kept = Kept(digest, self._clock.now() + self._keep_s, task)
            self._kept[key] = kept
            task.add_done_callback(lambda _: self._finished(key, kept))
        elif kept.digest != digest:
            raise ConflictError(
                "this request id was used with another body within the last minute",
                "give every request an id of its own; repeat an id only to repeat its request",
            )
        return kept.response or self._wait(kept)

    async def _wait(self, kept: Kept) -> Response:
        """Wait together; whoever goes away last takes the run along."""
        kept.waiting += 1
        try:
            return await asyncio.shield(kept.task)
        finally:
            kept.waiting -= 1
            if kept.waiting == 0:
                kept.task.cancel()

    def _finished(self, key: Key, kept: Kept) -> None:
        failed = kept.task.cancelled() or kept.task.exception() is not None
        response = None if failed else kept.task.result()
        if self._kept.get(key) is not kept:
            return
        if response is None or response.status != _OK:
            del self._kept[key]
            return
        body = b"".join(response.body)
        kept.response = replace(response, body=(body,))
        kept.nbytes = len(body)
        self._nbytes += kept.nbytes
        self._forget_most()

    def _forget_old(self) -> None:
        """Entries stand in the order in which they came, so the oldest is always first."""
        now = self._clock.now()
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.until > now or kept.response is None:
                return
            self._drop(key)

    def _forget_most(self) -> None:
        while len(self._kept) > self._max_kept or self._nbytes > self._max_bytes:
            self._drop(next(key for key, kept in self._kept.items() if kept.response is not None))

    def _drop(self, key: Key) -> None:
        self._nbytes -= self._kept.pop(key).nbytes


_OK = 200
