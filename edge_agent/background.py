"""Work that runs beside a block and ends with it: a `TaskGroup` of one that hides no error."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run `work` until the block ends, then cancel it.

    When `work` fails the block is cancelled and the failure raised. What the block raises comes out
    as it is, not inside a group, so that callers can catch it by its class.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work, name=name)
            try:
                yield
            finally:
                task.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0]  # noqa: B904  # the same error: a group around it says nothing
        raise
