"""What an agent is made of, and how its parts are joined. What they do together is agent's."""

from dataclasses import dataclass

from edge_agent import hardware
from edge_agent.advertise import Advertiser
from edge_agent.bundles.store import Store
from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from edge_agent.config import AgentConfig
from edge_agent.profiler import Profiles
from edge_agent.queue.gathering import Gathering
from edge_agent.queue.reception import Reception
from edge_agent.queue.serving import Serving
from edge_agent.stock.holdings import Holdings
from edge_agent.stock.inventory import Inventory
from edge_agent.stock.loader import Loader, LoadVariant
from edge_agent.stock.warming import Warming
from protocol.subjects import AdvertSubject


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent is made of."""

    config: AgentConfig
    hardware: str
    bus: Bus
    clock: Clock
    holdings: Holdings
    unable: dict[str, str]
    inventory: Inventory
    warming: Warming
    reception: Reception
    serving: Serving
    advertiser: Advertiser


def composed(
    config: AgentConfig, bus: Bus, clock: Clock, stock: tuple[Store, Profiles, LoadVariant]
) -> Parts:
    store, profiles, load = stock
    machine = config.hardware or hardware.hardware_class()
    inventory = Inventory(config, profiles, machine)
    able, unable = inventory.taken(store)
    holdings = Holdings(able, inventory.memory_bytes)
    loader = Loader(profiles, load, threads=config.threads, hardware=machine, now=clock.now)
    warming = Warming(holdings, loader, clock, measure_s=config.measure_s)
    reception = Reception(config, holdings.all, warming, unable)
    gathering = Gathering(bus)
    serving = Serving(config, clock, reception, gathering)
    gathering.wanted = serving.schedule
    advert = AdvertSubject(config.tier, config.site, config.node)
    advertiser = Advertiser(
        bus, clock, subject=str(advert), period_s=config.period_s, seed=config.node
    )
    return Parts(
        config, machine, bus, clock, holdings, unable, inventory,
        warming, reception, serving, advertiser,
    )  # fmt: skip
