"""Threads for work that would hold up the event loop; ended without holding it up either."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")


def on_loop(act: Callable[[ResultT], None]) -> Callable[[ResultT], None]:
    """Return what brings a thread's result to `act`, on the event loop that runs now."""
    loop = asyncio.get_running_loop()

    def bring(result: ResultT) -> None:
        loop.call_soon_threadsafe(act, result)

    return bring


class Threads:
    """A few threads. The mutable state is the work that is under way."""

    def __init__(self, number: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)
        self._begun: set[Future[None]] = set()

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work`, which raises nothing, when a thread is free."""
        future = self._pool.submit(work)
        self._begun.add(future)
        future.add_done_callback(self._begun.discard)

    async def finished(self) -> None:
        """Return when all that was begun is done, and what it sent to the loop has arrived."""
        while begun := [asyncio.wrap_future(future) for future in tuple(self._begun)]:
            await asyncio.wait(begun)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Finish what was begun, and end the threads."""
        await self.finished()
        self._pool.shutdown(wait=True)
