"""Makers of views: a test says which nodes there are, and what they run."""

from collections.abc import Sequence

from middle_tier.scheduler.groups import Groups
from middle_tier.scheduler.types import Demand
from middle_tier.view import View
from protocol.adverts import Capacity, Description, Loaded, Offer, SiteCapacity, VariantInfo
from protocol.bundles import estimate
from protocol.types import Price
from tests.build import a_capacity, a_profile, a_task, a_variant_info, a_want

TASK = "digits"


def dollars_an_hour(amount: float) -> Price:
    return Price(usd_per_hour=amount)


def info(variant: str = "mlp", run_ms: float = 1.0, **changes: object) -> VariantInfo:
    load_ms = changes.pop("load_ms", 10.0)
    fields = {"architecture": variant, "profile": a_profile(run_ms, load_ms=load_ms)}
    return a_variant_info(variant, **{**fields, **changes})


def warm(*variants: str) -> tuple[Loaded, ...]:
    return tuple(Loaded(variant=variant, state="warm") for variant in variants)


def add(view: View, advert: Capacity, infos: Sequence[VariantInfo], now: float = 0.0) -> None:
    """Let a node advertise itself and be described."""
    assert view.advert(advert, now)
    view.describe(
        Description(
            node=advert.node,
            site=advert.site,
            revision=advert.revision,
            tasks=(a_task(TASK),),
            variants=tuple(infos),
        ),
        now,
    )


def a_view(*nodes: tuple[Capacity, Sequence[VariantInfo]]) -> View:
    view = View("site-1")
    for advert, infos in nodes:
        add(view, advert, infos)
    return view


def a_node(
    name: str = "edge-1", *, loaded: Sequence[str] = ("mlp",), **changes: object
) -> Capacity:
    return a_capacity(name, **{"loaded": warm(*loaded), **changes})


def a_demand(budget_ms: float = 100.0, **changes: object) -> Demand:
    """Fields of `Demand`, or of its want."""
    own = {key: changes.pop(key) for key in tuple(changes) if key in Demand._fields}
    want = a_want(TASK, latency_ms=budget_ms, **changes)
    return Demand(**{"want": want, "budget_ms": budget_ms, **own})


def an_offer(variant: str = "mlp", **changes: object) -> Offer:
    fields = {
        "info": info(variant),
        "hardware": "pi",
        "tier": "edge",
        "warm": True,
        "nodes": 3,
        "queue_ms": 0.0,
        "link": estimate(1.0),
        "mbps": 100.0,
        "price": dollars_an_hour(1.0),
    }
    return Offer.model_validate({**fields, **changes})


def a_summary(site: str = "site-2", **changes: object) -> SiteCapacity:
    fields = {
        "site": site,
        "boot": "b",
        "sequence": 1,
        "link": estimate(40.0),
        "tasks": (a_task(TASK),),
        "offers": (an_offer(),),
    }
    return SiteCapacity.model_validate({**fields, **changes})


def live_groups(groups: Groups) -> int:
    """How many groups of the task have a node, in whatever state: counted the slow way."""
    return sum(
        1
        for pool in groups.table.by_key.values()
        for at, each in enumerate(pool.infos)
        if each.task == groups.task
        for half in (0, pool.size)
        if groups.table.columns.nodes[pool.first + half + at] > 0
    )
