"""A site's bundles, mirrored for its nodes and the own one. One updater, no second trust."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from edge_agent.audit import Audit
from edge_agent.bundles.keeping import Changed, Keeper, root_in
from edge_agent.bundles.sources import FolderSource, MeshSource
from edge_agent.bundles.store import Store
from edge_agent.bundles.trial import able, trying
from edge_agent.bundles.updater import Setting, Trial, Updater, untried
from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from edge_agent.hardware import hardware_class
from edge_agent.stock.inventory import pins
from middle_tier.blobs import Mirror
from middle_tier.config import SiteConfig


@dataclass(frozen=True, slots=True)
class Stock:
    """What the own node serves, and what looks for newer."""

    store: Store
    keeper: Keeper | None = None

    @asynccontextmanager
    async def keeping(self, changed: Changed) -> AsyncIterator[None]:
        """Look after it until the block ends."""
        async with AsyncExitStack() as stack:
            if self.keeper is not None:
                await stack.enter_async_context(self.keeper.keeping(changed))
            yield

    @property
    def look(self) -> Callable[[], None] | None:
        return self.keeper.look if self.keeper is not None else None


@asynccontextmanager
async def mirrored(
    config: SiteConfig, bus: Bus, clock: Clock, audit: Audit
) -> AsyncIterator[Stock]:
    """Serve what the site has of bundles until the block ends; nothing, when it trusts nobody."""
    path = config.root
    if path is None:
        yield Stock(Store())
        return
    updater = _updater(config, bus, clock, root_in(path), audit)
    async with Mirror(bus, updater).serving(config.site):
        yield Stock(updater.store(), Keeper(updater, clock, period_s=config.update_s))


def _updater(config: SiteConfig, bus: Bus, clock: Clock, root: bytes, audit: Audit) -> Updater:
    local = (FolderSource(folder) for folder in config.repositories)
    parent = (MeshSource(bus, config.parent),) if config.parent is not None else ()
    return Updater(
        Setting(
            folder=config.kept_dir / "bundles",
            root=root,
            sources=(*local, *parent),
            clock=clock,
            wants=lambda _: True,
            trial=_trial(config),
            audit=audit,
        )
    )


def _trial(config: SiteConfig) -> Trial:
    """Its own node's; without one, those who load it try it."""
    own = config.agent
    if own is None:
        return untried
    return trying(able(pins(own), own.hardware or hardware_class()), own.threads)
