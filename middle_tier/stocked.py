"""A site's bundles, mirrored for its nodes and the own one. One updater, no second trust."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from edge_agent.audit import Audit
from edge_agent.bundles.keeping import Changed, Keeper, root_in
from edge_agent.bundles.sources import FolderSource, MeshSource, Source
from edge_agent.bundles.store import Store
from edge_agent.bundles.trial import able, trying
from edge_agent.bundles.updater import Setting, Trial, Updater, untried
from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from edge_agent.hardware import hardware_class
from edge_agent.stock.inventory import pins
from middle_tier.announced import CATALOG, Announcer, CatalogSource, on_news
from middle_tier.blobs import Mirror
from middle_tier.config import SiteConfig
from middle_tier.desired import Desired


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
    config: SiteConfig, bus: Bus, clock: Clock, audit: Audit, desired: Desired
) -> AsyncIterator[Stock]:
    """Serve what the site has of bundles until the block ends; nothing, when it trusts nobody."""
    path = config.root
    if path is None:
        yield Stock(Store())
        return
    sources = _sources(config, bus, desired)
    updater = Updater(_setting(config, sources, clock, audit, root_in(path)))
    keeper = Keeper(updater, clock, period_s=config.update_s)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Mirror(bus, updater).serving(config.site))
        if config.parent is None:
            announcer = Announcer(desired.bucket(CATALOG), updater.told, clock)
            keeper.looked = announcer.look
            await stack.enter_async_context(announcer.running())
        else:
            desired.mirror(CATALOG).on_change(on_news(keeper.look))
        yield Stock(updater.store(), keeper)


def _sources(config: SiteConfig, bus: Bus, desired: Desired) -> tuple[Source, ...]:
    local = tuple(FolderSource(folder) for folder in config.repositories)
    if config.parent is None:
        return local
    return (*local, CatalogSource(desired.mirror(CATALOG), MeshSource(bus, config.parent)))


def _setting(
    config: SiteConfig, sources: tuple[Source, ...], clock: Clock, audit: Audit, root: bytes
) -> Setting:
    return Setting(
        folder=config.kept_dir / "bundles",
        root=root,
        sources=sources,
        clock=clock,
        wants=lambda _: True,
        trial=_trial(config),
        audit=audit,
    )


def _trial(config: SiteConfig) -> Trial:
    """Its own node's; without one, those who load it try it."""
    own = config.agent
    if own is None:
        return untried
    return trying(able(pins(own), own.hardware or hardware_class()), own.threads)
