"""A response that is to come: told to a callback, without a task of its own where that can be.

What a request means, and so what comes of it, is in `inference`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from middle_tier.http.behind import Outcome, Pursuing
from middle_tier.http.oip import Response

Told = Callable[[Response | None], None]
"""Gets the response; None: it was cancelled from inside, and there is nothing to say."""


class Pending(Protocol):
    """What one caller waits for."""

    def then(self, told: Told) -> None:
        """Call `told` once, in a later turn of the loop; never after `cancel`."""
        ...

    def cancel(self) -> None:
        """The caller went away."""
        ...


class Pursued:
    """What `finish` makes of a pursuit's outcome; `gone` is told when nobody waits for it."""

    def __init__(
        self, pursuit: Pursuing, finish: Callable[[Outcome], Response], gone: Callable[[], None]
    ) -> None:
        self._pursuit = pursuit
        self._finish = finish
        self._gone = gone
        self._told: Told | None = None

    def then(self, told: Told) -> None:
        self._told = told
        self._pursuit.future.add_done_callback(self._done)

    def cancel(self) -> None:
        self._told = None
        self._gone()
        self._pursuit.stop()

    def _done(self, outcome: Outcome) -> None:
        told, self._told = self._told, None
        if told is None:
            return
        if outcome.cancelled():
            self._gone()
            told(None)
        else:
            told(self._finish(outcome))


class Awaited:
    """What a coroutine returns, which raises nothing but `CancelledError`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Response]) -> None:
        self._task = asyncio.get_running_loop().create_task(coroutine)

    def then(self, told: Told) -> None:
        self._task.add_done_callback(lambda task: told(None if task.cancelled() else task.result()))

    def cancel(self) -> None:
        self._task.cancel()


async def settled(pending: Pending) -> Response:
    """Wait for it; when the waiting is cancelled, so is what is waited for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Response | None] = loop.create_future()
    pending.then(lambda response: None if future.done() else future.set_result(response))
    try:
        response = await future
    except asyncio.CancelledError:
        pending.cancel()
        raise
    if response is None:
        raise asyncio.CancelledError
    return response
