"""The agent's process of ``tiermesh serve --nats``: its variants are bare model files."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent import agent
from edge_agent.agent import Agent
from edge_agent.bundles.store import Held, Store
from edge_agent.bus.nats import connecting
from edge_agent.clock import SystemClock
from edge_agent.config import AgentConfig, Config
from edge_agent.profiler import Profiles
from edge_agent.runtimes import bare
from middle_tier.process import run
from protocol.errors import BadRequestError


class ServedConfig(Config):
    """An agent, and the files that it serves."""

    agent: AgentConfig
    files: tuple[Path, ...]
    name: str | None = None
    """Of the task; None: after each file."""


def held(files: Sequence[Path], name: str | None) -> Store:
    """Return the files as variants; raise `BadRequestError` for one that is no model.

    Files that are to be one task must have one signature: `ConflictError` otherwise.
    """
    store = Store()
    for path in files:
        try:
            data = path.read_bytes()
        except OSError as error:
            why = error.strerror or "unknown"
            raise BadRequestError(f"{path}: cannot be read: {why}", "give a model file") from error
        found = bare.read(str(path), data, name)
        store.add(Held(found.variant, found.task, path.parent), data)
    return store


@asynccontextmanager
async def running(config: ServedConfig) -> AsyncIterator[Agent]:
    """Serve the files until the block ends."""
    own, store = config.agent, held(config.files, config.name)
    profiles = Profiles(own.state_dir / "profiles")
    async with (
        connecting(own.nats_url, name=own.node) as bus,
        agent.running(own, bus, SystemClock(), store, profiles=profiles) as serving,
    ):
        yield serving


def main() -> None:
    """``python -m cloud_core.serve_agent --config FILE``."""
    about = "Serves model files as an agent of a site."
    sys.exit(run("serve-agent", about, sys.argv[1:], ServedConfig, running))


if __name__ == "__main__":
    main()
