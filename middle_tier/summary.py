"""Pure. A site as one advert to its parent: a line for each kind of thing its nodes can do now.

Only nodes that are ready count, and only the site's own: what sites below offer is theirs to say.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from middle_tier.scheduler.members import Pool
from middle_tier.view import View
from protocol.adverts import Offer, SiteCapacity, VariantInfo
from protocol.types import Latency, Price, Profile

OFFERS = 64
"""Lines for one task. More describe a large site better, and cost every parent's every decision."""

NOTICED = 0.05
"""A correction smaller than this share is left out of the profiles that are passed on."""

Kind = tuple[str, str, str, bool, float]


@dataclass(frozen=True, slots=True)
class Place:
    """Who says so, how often, and over which link to the parent."""

    site: str
    boot: str
    sequence: int
    link: Latency
    mbps: float = 1000.0
    period_s: float = 1.0


def summarise(view: View, place: Place, now: float) -> SiteCapacity:
    """Return what the nodes of a view can do, as its parent should see it."""
    view.table.settle()
    offers: dict[str, dict[Kind, Offer]] = {}
    counts: dict[str, int] = {}
    for pool in view.table.by_key.values():
        if pool.members and pool.key.scope == "node" and pool.key.state == "ready":
            counts[pool.key.tier] = counts.get(pool.key.tier, 0) + len(pool.members)
            for offer in _offers(view, pool, now * 1000.0):
                lines = offers.setdefault(offer.info.task, {})
                lines[_kind(offer)] = _joined(lines.get(_kind(offer)), offer)
    return SiteCapacity(
        site=place.site,
        boot=place.boot,
        sequence=place.sequence,
        period_s=place.period_s,
        link=place.link,
        mbps=place.mbps,
        nodes=counts,
        tasks=tuple(view.tasks[name] for name in sorted(offers)),
        offers=tuple(offer for name in sorted(offers) for offer in few(offers[name].values())),
    )


def _offers(view: View, pool: Pool, now_ms: float) -> Iterator[Offer]:
    columns = view.table.columns
    *link_ms, ms_per_byte = view.table.sums.pool_way[pool.number].tolist()
    for row in range(pool.first, pool.first + 2 * pool.size):
        nodes = columns.nodes.item(row)
        if not nodes:
            continue
        free_at_ms, own_ms = columns.load[:, row].tolist()
        info = pool.infos[(row - pool.first) % pool.size]
        yield Offer(
            info=_as_observed(info, columns.factor.item(row)),
            hardware=pool.key.hardware,
            tier=pool.key.tier,
            warm=row < pool.first + pool.size,
            nodes=nodes,
            queue_ms=max(0.0, free_at_ms - now_ms, own_ms),
            link=Latency(ms=tuple(link_ms)),
            mbps=1.0 / (125.0 * ms_per_byte),
            price=Price(usd_per_hour=pool.key.usd_per_busy_ms * 3_600_000.0),
        )


def _as_observed(info: VariantInfo, factor: float) -> VariantInfo:
    """Return the variant with run times as they are seen to be, where that makes a difference."""
    if abs(factor - 1.0) < NOTICED:
        return info
    runs = {
        rows: Latency.model_validate({"ms": [factor * ms for ms in run.ms], "count": run.count})
        for rows, run in info.profile.runs.items()
    }
    profile: Profile = info.profile.model_copy(update={"runs": runs})
    return info.model_copy(update={"profile": profile})


def _kind(offer: Offer) -> Kind:
    price = offer.price.usd_per_hour
    return offer.info.variant, offer.hardware, offer.tier, offer.warm, price


def _joined(before: Offer | None, offer: Offer) -> Offer:
    """Return one line for two pools that differ in what else they can run."""
    if before is None:
        return offer
    queue_ms = min(before.queue_ms, offer.queue_ms)
    return before.model_copy(update={"nodes": before.nodes + offer.nodes, "queue_ms": queue_ms})


def few(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """Return at most `OFFERS`: first those that no other beats, spread over their accuracies."""
    found = sorted(offers, key=lambda offer: (-offer.info.accuracy, _kind(offer)))
    if len(found) <= OFFERS:
        return tuple(found)
    beaten = _beaten(found)
    front = [offer for offer, is_beaten in zip(found, beaten, strict=True) if not is_beaten]
    rest = [offer for offer, is_beaten in zip(found, beaten, strict=True) if is_beaten]
    if len(front) >= OFFERS:
        return tuple(_spread(front, OFFERS))
    return (*front, *_spread(rest, OFFERS - len(front)))


def _spread(offers: list[Offer], most: int) -> list[Offer]:
    return [offers[place * len(offers) // most] for place in range(most)]


def _beaten(offers: list[Offer]) -> list[bool]:
    """Return for each offer whether another is as good in every respect and better in one."""
    figures = np.array([_figures(offer) for offer in offers])
    no_worse = np.ones((len(offers), len(offers)), np.bool_)
    better = np.zeros((len(offers), len(offers)), np.bool_)
    for column in figures.T:
        no_worse &= column[:, None] <= column[None, :]
        better |= column[:, None] < column[None, :]
    beaten: list[bool] = np.asarray((no_worse & better).any(axis=0)).tolist()
    return beaten


def _figures(offer: Offer) -> tuple[float, float, float]:
    """Smaller is better: inaccuracy, finish of one row, price of one row."""
    run = offer.info.profile.run(1)
    cold_ms = 0.0 if offer.warm else offer.info.profile.load_ms
    finish_ms = offer.link.ms[3] + offer.queue_ms + cold_ms + run.ms[3]
    return -offer.info.accuracy, finish_ms, offer.price.usd_per_busy_ms * run.ms[0]
