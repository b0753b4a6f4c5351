"""What the processes of a site and of the cloud share: command line, configuration, signals, log.

Only a `__main__` calls this.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from edge_agent.config import Config, read
from edge_agent.garbage import settle_in
from protocol.errors import MeshError

ConfigT = TypeVar("ConfigT", bound=Config)

MISUSED, FAILED = 2, 1


def run(
    program: str,
    about: str,
    argv: Sequence[str],
    model: type[ConfigT],
    running: Callable[[ConfigT], AbstractAsyncContextManager[object]],
) -> int:
    """Run until told to stop; return the exit status: 0 stopped, 1 failed, 2 misused."""
    args = _parser(program, about).parse_args(argv)
    try:
        config = read(args.config, model)
    except MeshError as error:
        return _said(program, error, MISUSED)
    logging.basicConfig(
        level=args.log_level.upper(), stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )  # fmt: skip
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_told(running(config)))
    except MeshError as error:
        return _said(program, error, FAILED)
    except OSError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return FAILED
    return 0


async def _until_told(running: AbstractAsyncContextManager[object]) -> None:
    """Hold the block open until SIGTERM or SIGINT, which also end the wait to enter it."""
    told, entered = asyncio.Event(), asyncio.Event()
    loop, entering = asyncio.get_running_loop(), asyncio.current_task()

    def tell() -> None:
        told.set()
        if not entered.is_set() and entering is not None:
            entering.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    try:
        async with running:
            entered.set()
            settle_in()
            await told.wait()
    except asyncio.CancelledError:
        if not told.is_set():
            raise


def _parser(program: str, about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(program, description=about)
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="its configuration, TOML or JSON"
    )
    parser.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"),
        help="how much to say on standard error (default: info)",
    )  # fmt: skip
    return parser


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        import uvloop  # noqa: PLC0415  # optional, and heavy enough not to load in vain
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _said(program: str, error: MeshError, status: int) -> int:
    hint = f" ({error.hint})" if error.hint else ""
    sys.stderr.write(f"{program}: {error.error}{hint}\n")
    return status
