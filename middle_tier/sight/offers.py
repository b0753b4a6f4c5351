"""Pure. Which pool a node, or a line of a site's summary, belongs in."""

from collections.abc import Iterable

from middle_tier.scheduler.members import PoolKey, State
from protocol.adverts import Capacity, Offer, SiteCapacity, VariantInfo
from protocol.types import Latency, Price

Kit = tuple[tuple[object, ...], ...]


def kit_of(infos: Iterable[VariantInfo]) -> Kit:
    """Return what makes two nodes' variants the same: all but the profiles."""
    return tuple(
        (info.task, info.variant, info.architecture, info.format, info.accuracy, info.max_batch)
        for info in infos
    )


def node_key(advert: Capacity, state: State, kit: Kit) -> PoolKey:
    price = advert.price
    return PoolKey(
        site=advert.site,
        hardware=advert.hardware,
        tier=advert.tier,
        scope="node",
        state=state,
        usd_per_busy_ms=price.usd_per_busy_ms,
        kit=kit,
        energy_usd_per_busy_ms=energy_usd_per_busy_ms(price),
    )


def energy_usd_per_busy_ms(price: Price) -> float:
    """Return what of the price of a busy millisecond is energy."""
    return price.watts * price.usd_per_kwh / 3.6e9


def offer_name(offer: Offer) -> str:
    """Return what tells one line of a site's summary from the others."""
    price = offer.price.usd_per_busy_ms
    return f"{offer.info.variant} {offer.hardware} {offer.tier} {offer.warm} {price}"


def offer_key(site: str, offer: Offer, state: State) -> PoolKey:
    return PoolKey(
        site=site,
        hardware=offer.hardware,
        tier=offer.tier,
        scope="site",
        state=state,
        usd_per_busy_ms=offer.price.usd_per_busy_ms,
        kit=kit_of([offer.info]),
        offer=offer_name(offer),
    )


def way(summary: SiteCapacity, offer: Offer) -> tuple[Latency, float]:
    """Return link and speed from here to the nodes of an offer: to the site, and within it.

    Percentiles are added, which overstates the sum a little: both legs are rarely late at once.
    """
    ms = tuple(a + b for a, b in zip(summary.link.ms, offer.link.ms, strict=True))
    return Latency(ms=ms), min(summary.mbps, offer.mbps)
