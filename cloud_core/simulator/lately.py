"""A mesh as its gates describe it, and what was asked there lately, as a scenario to replay.

Each class of nodes of a site (hardware, tier, price) is a fleet, with run times as learnt by now;
each kind of query is a want; arrivals are those that were, at the place where they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np

from cloud_core.simulator.places import entered
from cloud_core.simulator.scenario import (
    TIERS,
    Border,
    Fleet,
    LinkPart,
    Scenario,
    TaskPart,
    TracePart,
    WantPart,
)
from cloud_core.simulator.tables import Kit
from cloud_core.simulator.traces import Arrivals
from middle_tier.scheduler.rules import PriceRule, price_of
from middle_tier.scheduler.types import Policy
from protocol.adverts import Offer, SiteCapacity, VariantInfo
from protocol.errors import BadRequestError
from protocol.messages import Want
from protocol.types import Price, Tier, Wire

LIVE = Path("live")
"""Where a scenario names a file: nothing is read."""

SEED = 1
BACK_S = 86_400.0
"""Queries longer ago than this are left out."""

LEAST = 50
"""Queries fewer than this say nothing."""


class Kind(Wire):
    """Queries that are alike."""

    want: Want
    tenant: str
    tiers: tuple[Tier, ...] | None = None
    rows: int = 1
    in_bytes: int = 0
    out_bytes: int = 0


class Traffic(Wire):
    """What one gate says: `GET /v1/traffic`."""

    site: str
    kinds: tuple[Kind, ...]
    asked: tuple[tuple[float, int], ...]
    """Seconds ago, and which kind."""
    sites: tuple[SiteCapacity, ...]


@dataclass(slots=True)
class Class:
    """Nodes of a site that are alike."""

    site: str
    tier: Tier
    hardware: str
    price: float
    infos: dict[str, VariantInfo]
    nodes: dict[str, int]
    """By variant."""
    warm: dict[str, int]

    @property
    def size(self) -> int:
        return max(self.nodes.values())


@dataclass(frozen=True, slots=True)
class Replay:
    """What is simulated under one policy."""

    scenario: Scenario
    kits: dict[str, Kit]
    arrivals: Arrivals
    kinds: tuple[Kind, ...]
    warm: Mapping[str, Mapping[str, int]]
    """By fleet and variant: on how many of its nodes it is warm."""
    rules: Policy


def classes(sites: Sequence[SiteCapacity]) -> list[Class]:
    """Return the classes of nodes that sites offer."""
    found: dict[tuple[str, str, str, float], Class] = {}
    for site in sites:
        for offer in site.offers:
            _join(found, site.site, offer)
    return [each for each in found.values() if each.size]


def _join(found: dict[tuple[str, str, str, float], Class], site: str, offer: Offer) -> None:
    name, price = offer.info.variant, offer.price.usd_per_busy_ms * 3.6e6
    key = (site, offer.tier, offer.hardware, price)
    if key not in found:
        found[key] = Class(site, offer.tier, offer.hardware, price, {}, {}, {})
    one = found[key]
    one.infos[name] = offer.info
    one.nodes[name] = one.nodes.get(name, 0) + offer.nodes
    if offer.warm:
        one.warm[name] = one.warm.get(name, 0) + offer.nodes


def replay(gates: Sequence[Traffic], policy: Policy) -> Replay:
    """Return what the gates were asked, among the nodes that the first of them knows, by a policy.

    Work is billed by the busy hour, as the mesh does, at that policy's prices.
    """
    sites = gates[0].sites
    alike = classes(sites)
    names = [f"{each.hardware[:50]}-{at}" for at, each in enumerate(alike)]
    prices = [price_of(policy.prices, each.tier, each.hardware) for each in alike]
    kinds = tuple(kind for gate in gates for kind in gate.kinds)
    ages = [ago for queries in _asked(gates) for ago, _ in queries]
    scenario = Scenario(
        seed=SEED,
        duration_s=max(ages) - min(ages) + 1.0,
        profiles=(LIVE,),
        tasks=_tasks(kinds),
        fleets=tuple(
            _fleet(name, each, price)
            for name, each, price in zip(names, alike, prices, strict=True)
        ),
        links=_links(sites, policy),
        traces=_traces(gates, alike),
        wants=tuple(_want(kind) for kind in kinds),
        name="recent traffic",
    )
    return Replay(
        scenario,
        {
            name: Kit(tuple(each.infos.values()), ())
            for name, each in zip(names, alike, strict=True)
        },
        _arrivals(scenario, gates, alike),
        kinds,
        {name: each.warm for name, each in zip(names, alike, strict=True)},
        policy.model_copy(update={"prices": _rules(names, alike, prices)}),
    )


def _rules(
    names: Sequence[str], alike: Sequence[Class], prices: Sequence[Price | None]
) -> tuple[PriceRule, ...]:
    """The same prices, by fleet: what they fit was the hardware's name."""
    return tuple(
        PriceRule(tier=each.tier, hardware=name, **price.model_dump())
        for name, each, price in zip(names, alike, prices, strict=True)
        if price is not None
    )


def _fleet(name: str, each: Class, price: Price | None) -> Fleet:
    """A fleet whose work alone costs: a busy hour's price stands as that of a kilowatt."""
    hourly = each.price if price is None else price.usd_per_busy_ms * 3.6e6
    memory = sum(info.profile.memory_bytes for info in each.infos.values())
    return Fleet(
        name=name, system=each.hardware, tier=each.tier, site=each.site, nodes=each.size,
        memory_mb=memory / 1e6 + 1.0, price=Price(watts=1000.0, usd_per_kwh=hourly),
    )  # fmt: skip


def _tasks(kinds: Sequence[Kind]) -> dict[str, TaskPart]:
    return {
        task: TaskPart(
            input_kb=fmean(kind.in_bytes for kind in kinds if kind.want.task == task) / 1e3,
            output_kb=fmean(kind.out_bytes for kind in kinds if kind.want.task == task) / 1e3,
        )
        for task in {kind.want.task: None for kind in kinds}
    }


def _want(kind: Kind) -> WantPart:
    want = kind.want
    return WantPart(
        latency_ms=want.latency_ms, percentile=want.percentile, task=want.task,
        min_accuracy=100.0 * want.min_accuracy, max_cost_usd=want.max_cost_usd,
    )  # fmt: skip


def _links(sites: Sequence[SiteCapacity], policy: Policy) -> dict[Border, LinkPart]:
    """One way over each border: the median of those that there are."""
    edge = [(offer.link.ms[0], offer.mbps) for s in sites for offer in s.offers if _is_edge(offer)]
    up = [(site.link.ms[0], site.mbps) for site in sites[1:]]
    borders: dict[Border, list[tuple[float, float]]] = {"edge-middle": edge, "middle-cloud": up}
    return {
        border: LinkPart(
            rtt_ms=median(rtt for rtt, _ in ways),
            mbps=median(mbps for _, mbps in ways),
            usd_per_gb=policy.usd_per_gb.get(border, 0.0),
        )
        for border, ways in borders.items()
        if ways
    }


def _is_edge(offer: Offer) -> bool:
    return offer.tier == "edge"


def _asked(gates: Sequence[Traffic]) -> list[list[tuple[float, int]]]:
    """Return what each gate was asked within the longest time that is looked back on."""
    found = [[(ago, kind) for ago, kind in gate.asked if ago < BACK_S] for gate in gates]
    many = sum(map(len, found))
    if many < LEAST:
        raise BadRequestError(
            f"{many} queries of late: too few to say what would change, {LEAST} are needed",
            "ask again when there has been traffic, or give some with --traffic SCENARIO.yaml",
        )
    return found


def _traces(gates: Sequence[Traffic], alike: Sequence[Class]) -> tuple[TracePart, ...]:
    """Return one for each tier and task; their files are never read."""
    pairs = {(_tier(gate.site, alike), kind.want.task) for gate in gates for kind in gate.kinds}
    return tuple(TracePart(file=LIVE, task=task, enters=tier) for tier, task in sorted(pairs))


def _tier(site: str, alike: Sequence[Class]) -> Tier:
    """Where queries enter that come to a site's gate: beside its best nodes."""
    here = {each.tier for each in alike if each.site == site}
    return max(here, key=TIERS.index) if here else "cloud"


def _arrivals(scenario: Scenario, gates: Sequence[Traffic], alike: Sequence[Class]) -> Arrivals:
    """Return what came: at its time, where it did; how lucky each run is is drawn."""
    asked = _asked(gates)
    traces = {(trace.enters, trace.task): at for at, trace in enumerate(scenario.traces)}
    begin = max(ago for queries in asked for ago, _ in queries)
    lines: list[tuple[float, int, int, int]] = []
    first = 0
    for gate, queries in zip(gates, asked, strict=True):
        tier = _tier(gate.site, alike)
        sites = entered(scenario, tier)
        place = sites.index(gate.site) if gate.site in sites else 0
        for ago, kind in queries:
            task = gate.kinds[kind].want.task
            lines.append((begin - ago, traces[tier, task], place, first + kind))
        first += len(gate.kinds)
    at_s, trace, place_at, want = zip(*sorted(lines), strict=True)
    draw = np.random.default_rng(SEED).uniform(0.0, 100.0, len(lines))
    return Arrivals(np.array(at_s), np.array(trace), np.array(place_at), np.array(want), draw)
