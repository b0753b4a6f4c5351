"""Pure. The parts of a policy that hold for some tenants, tasks or machines, and whom they fit.

Globs are as in file names: ``*``, ``?``, ``[a-c]``. A rule without a glob fits everybody.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from protocol.messages import Want
from protocol.types import NonNegative, Positive, Price, Tier

Glob = Annotated[str, Field(min_length=1, max_length=128)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Base of every part: immutable, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PriceRule(Part):
    """What nodes of a tier and hardware class cost, whatever they say themselves."""

    tier: Tier | None = None
    """None: every tier."""
    hardware: Glob = "*"
    """Of hardware classes, as `tiermesh nodes list` shows them."""
    watts: NonNegative = 0.0
    usd_per_kwh: NonNegative = 0.0
    usd_per_hour: NonNegative = 0.0

    def price(self) -> Price:
        return Price(watts=self.watts, usd_per_kwh=self.usd_per_kwh, usd_per_hour=self.usd_per_hour)


class PermitRule(Part):
    """Where the queries of some tenants for some tasks may run."""

    tenant: Glob = "*"
    task: Glob = "*"
    tiers: tuple[Tier, ...] | None = None
    """None: every tier."""
    sites: tuple[Glob, ...] | None = None
    """Of site names; None: every site. A query may still pass through others on its way there."""
    leave_site: bool = True
    """False: a query runs where it came in, or not at all, and its tensors go nowhere else."""


class WantRule(Part):
    """What some tenants want of some tasks where their request does not say."""

    tenant: Glob = "*"
    task: Glob = "*"
    latency_ms: Positive | None = None
    percentile: Annotated[float, Field(gt=0, lt=100)] | None = None
    min_accuracy: Share | None = None
    max_cost_usd: NonNegative | None = None


class Hedge(Part):
    """Ask a second node when the first is late: cuts the tail, costs a share of the work."""

    after_percentile: Annotated[float, Field(gt=0, lt=100)] = 95.0
    """Late is later than this percentile of what was predicted for the node asked."""
    share: Share = 0.0
    """Of queries that may be hedged; 0: none."""


class Escalation(Part):
    """Ask a more accurate variant when an answer from the edge is unsure of itself."""

    below: Share = 0.6
    """Unsure is a confidence under this (see `routing/confidence`)."""
    share: Share = 0.0
    """Of queries that may be escalated; 0: none."""


class Preference(Part):
    """What energy and accuracy are worth beside the bill: decides the order, not the bill."""

    usd_per_kwh: NonNegative = 0.0
    """Of energy, beyond its price. Known for what `prices` gives watts for."""
    usd_per_accuracy_point: NonNegative = 0.0
    """Of 0.01 of a query's accuracy. Higher takes dearer, better variants."""


class Permit(NamedTuple):
    """What all rules that fit one tenant and task leave."""

    tiers: tuple[Tier, ...] | None
    sites: tuple[tuple[str, ...], ...]
    """A site must fit one glob of each."""
    leave_site: bool


def permit_of(rules: Iterable[PermitRule], tenant: str, task: str) -> Permit | None:
    """Return what the rules leave of this tenant's queries for a task; None: no rule fits."""
    found = [rule for rule in rules if _fits(rule, tenant, task)]
    if not found:
        return None
    tiers: tuple[Tier, ...] | None = None
    for rule in found:
        if rule.tiers is not None:
            tiers = tuple(t for t in rule.tiers if tiers is None or t in tiers)
    sites = tuple(rule.sites for rule in found if rule.sites is not None)
    return Permit(tiers, sites, all(rule.leave_site for rule in found))


def permitted_sites(permit: Permit, sites: Iterable[str]) -> list[str]:
    """Those of `sites` that every rule permits."""
    return [
        site
        for site in sites
        if all(any(fnmatchcase(site, glob) for glob in globs) for globs in permit.sites)
    ]


def price_of(rules: Sequence[PriceRule], tier: Tier, hardware: str) -> Price | None:
    """Return what the first rule that fits says; None: the node's own word stands."""
    for rule in rules:
        if rule.tier in (None, tier) and fnmatchcase(hardware, rule.hardware):
            return rule.price()
    return None


def want_of(rules: Iterable[WantRule], tenant: str, want: Want) -> Want:
    """Fill in what the request has not said; of several rules that say it, the first counts."""
    update: dict[str, float] = {}
    for rule in rules:
        if _fits(rule, tenant, want.task):
            said = rule.model_dump(exclude_none=True, exclude={"tenant", "task"})
            update = {**said, **update}
    missing = {name: value for name, value in update.items() if name not in want.model_fields_set}
    return want.but(**missing) if missing else want


def _fits(rule: PermitRule | WantRule, tenant: str, task: str) -> bool:
    return fnmatchcase(tenant, rule.tenant) and fnmatchcase(task, rule.task)
