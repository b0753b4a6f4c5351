"""A response that is to come: told to a callback, without a task of its own where that can be.

What a request means, and so what comes of it, is in `inference`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from middle_tier.http.oip import Response

Told = Callable[[Response | None], None]
"""Gets the response; None: it was cancelled from inside, and there is nothing to say."""


class Pending(Protocol):
    """What one caller waits for."""

    def then(self, told: Told) -> None:
        """Call `told` once, but not from within this call; never after `cancel`."""
        ...

    def cancel(self) -> None:
        """The caller went away."""
        ...


class Awaited:
    """What a coroutine returns, which raises nothing but `CancelledError`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Response]) -> None:
        self._task = asyncio.get_running_loop().create_task(coroutine)

    def then(self, told: Told) -> None:
        self._task.add_done_callback(lambda task: told(None if task.cancelled() else task.result()))

    def cancel(self) -> None:
        self._task.cancel()


async def settled(begun: Response | Pending) -> Response:
    """Wait for it; when the waiting is cancelled, so is what is waited for."""
    if isinstance(begun, Response):
        return begun
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Response | None] = loop.create_future()
    begun.then(lambda response: None if future.done() else future.set_result(response))
    try:
        response = await future
    except asyncio.CancelledError:
        begun.cancel()
        raise
    if response is None:
        raise asyncio.CancelledError
    return response
