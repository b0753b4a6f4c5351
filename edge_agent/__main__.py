"""``tiermesh-agent --config FILE``: read the configuration, build the parts, run until stopped.

``tiermesh-agent enrol`` is enrol's.

SIGTERM and SIGINT drain: new asks are refused, what is queued is finished. A second one ends it.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from edge_agent import enrol
from edge_agent.bundles.keeping import root_in
from edge_agent.bus.nats import connecting
from edge_agent.clock import SystemClock
from edge_agent.config import AgentConfig, read
from edge_agent.garbage import settle_in
from edge_agent.identity.enrolment import renewed
from edge_agent.identity.passport import read as read_passport
from edge_agent.reports.telling import telling
from edge_agent.stocked import serving
from protocol.errors import MeshError

LEVELS = ("debug", "info", "warning", "error")


def main() -> int:
    """Console script. 0: stopped as told; 1: failed; 2: misused."""
    if sys.argv[1:2] == ["enrol"]:
        return enrol.main(sys.argv[2:])
    options = _options()
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        config = read(options.config, AgentConfig)
        root = root_in(config.trust) if config.trust is not None else None
    except MeshError as error:
        sys.stderr.write(f"tiermesh-agent: {error.error}; {error.hint}\n")
        return 2
    return run_until_stopped(lambda: _serving(config, root))


@asynccontextmanager
async def _serving(config: AgentConfig, root: bytes | None) -> AsyncIterator[None]:
    passport = read_passport(config.nats_credentials)
    clock = SystemClock()
    async with (
        connecting(
            config.nats_url,
            name=config.node,
            passport=passport,
            ca=config.nats_ca,
            ping_s=config.ping_s,
        ) as bus,
        renewed(passport, bus, clock),
        telling(config.state_dir, (config.site, config.node), bus.streams(), clock) as journal,
        serving(config, bus, clock, root, audit=journal) as agent,
    ):
        logging.getLogger(__name__).info("%r", agent)
        yield


def run_until_stopped(serving: Callable[[], AbstractAsyncContextManager[None]]) -> int:
    """Hold `serving` open until SIGTERM or SIGINT, on uvloop where it is installed.

    Returns the exit code.
    """
    factory = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(_signalled(serving))
        except asyncio.CancelledError:
            return 0
        except MeshError as error:
            sys.stderr.write(f"{error.error}; {error.hint}\n")
            return 1
    return 0


async def _signalled(serving: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    """The first signal ends the block; one more, or one while it is still being opened, cancels."""
    begun, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def told() -> None:
        if task is not None and (stop.is_set() or not begun.is_set()):
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    async with serving():
        begun.set()
        settle_in()
        await stop.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tiermesh-agent",
        description="One node of the mesh: runs variants for its site.",
        epilog="`tiermesh-agent enrol --help`: how a device gets its credentials.",
    )
    parser.add_argument("--config", type=Path, required=True, help="a .toml or .json file")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="default: info")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
