"""The supervisor of a detached mesh: ``python -m cloud_core.up --config FILE``."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from cloud_core.up.mesh import UpConfig, running
from edge_agent.clock import SystemClock
from edge_agent.config import read
from protocol.errors import MeshError

log = logging.getLogger("cloud_core.up")


async def until_stopped(config: UpConfig) -> None:
    """Run the mesh until SIGTERM or SIGINT, even while it is still starting."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  # we run in one
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    async with running(config, SystemClock(), log.info) as mesh:
        log.info("ready: %r at %s", mesh, mesh.state.url)
        await asyncio.Event().wait()


def main() -> None:
    """Run it; the last lines of the log say what failed."""
    parser = argparse.ArgumentParser(prog="cloud_core.up", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(until_stopped(read(parser.parse_args().config, UpConfig)))
    except asyncio.CancelledError:
        log.info("stopped")
    except MeshError as error:
        sys.stderr.write(f"error: {error.error}\nhint: {error.hint}\n")
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"error: {error}\nhint: `tiermesh doctor` checks the disk\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
