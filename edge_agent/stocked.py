"""An agent and its bundles: what is switched in is served at once, what is newer when here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent import agent
from edge_agent.agent import Agent
from edge_agent.audit import Audit
from edge_agent.bundles.keeping import Keeper
from edge_agent.bundles.sources import FolderSource, MeshSource
from edge_agent.bundles.store import Store
from edge_agent.bundles.trial import able, trying
from edge_agent.bundles.updater import Setting, Updater
from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from edge_agent.config import AgentConfig
from edge_agent.hardware import hardware_class
from edge_agent.profiler import Profiles
from edge_agent.stock.inventory import pins


def updater(config: AgentConfig, bus: Bus, clock: Clock, root: bytes, audit: Audit) -> Updater:
    """Return the updater of a node: what can run here, from local repositories and its site."""
    can = able(pins(config), config.hardware or hardware_class())
    local = (FolderSource(folder) for folder in config.bundles)
    return Updater(
        Setting(
            folder=config.state_dir / "bundles",
            root=root,
            sources=(*local, MeshSource(bus, config.site)),
            clock=clock,
            wants=can,
            trial=trying(can, config.threads),
            audit=audit,
        )
    )


@asynccontextmanager
async def serving(
    config: AgentConfig, bus: Bus, clock: Clock, root: bytes | None, *, audit: Audit
) -> AsyncIterator[Agent]:
    """Serve until the block ends, with the bundles that `root` vouches for; None: with none.

    `audit` hears of what is refused.
    """
    profiles = Profiles(config.state_dir / "profiles")
    if root is None:
        async with agent.running(config, bus, clock, Store(), profiles=profiles) as alone:
            yield alone
        return
    own = updater(config, bus, clock, root, audit)
    keeper = Keeper(own, clock, period_s=config.update_s)
    async with agent.running(config, bus, clock, own.store(), profiles=profiles) as stocked:
        stocked.update_wanted = keeper.look
        stocked.audited(audit)
        async with keeper.keeping(stocked.restock):
            yield stocked
