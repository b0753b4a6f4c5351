"""What goes into a decision and what comes out: policy, demand, candidates, plan. No behaviour."""

from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from middle_tier.scheduler.members import PoolKey
from middle_tier.scheduler.pick import Group
from middle_tier.scheduler.rules import (
    Escalation,
    Hedge,
    Permit,
    PermitRule,
    Preference,
    PriceRule,
    WantRule,
)
from protocol.messages import Want
from protocol.types import NonNegative, Tier

Hop = Literal["edge-middle", "middle-cloud"]
"""The border between two neighbouring tiers; bytes from edge to cloud pass both."""


class Policy(BaseModel):
    """The operator's document: what is permitted, what it costs, what to do on a miss."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    headroom: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the budget that a predicted finish may use. Lower misses fewer objectives and
    costs more: queries move to faster, dearer nodes sooner."""

    on_miss: Literal["refuse", "fastest"] = "refuse"
    """When nothing meets the want: say so (503, with what could be had), or take the fastest of
    what is permitted and accurate enough."""

    tiers: tuple[Tier, ...] | None = None
    """Where anything may run; None: anywhere."""

    usd_per_gb: dict[Hop, NonNegative] = {}
    """Price of carrying 10^9 bytes over each border, both ways alike; absent is free."""

    tries: Annotated[int, Field(ge=1, le=16)] = 4
    """Candidates that a router asks for one query, each by a new plan. More survives more
    refusals, and spends more of a budget that is nearly gone."""

    prices: tuple[PriceRule, ...] = ()
    """What hardware costs; the first that fits a node. A node that none fits says itself."""

    permit: tuple[PermitRule, ...] = ()
    """Where queries may run; every one that fits a query must permit the place."""

    wants: tuple[WantRule, ...] = ()
    """Default wants; of several that fit a query, the first that says a field."""

    hedge: Hedge = Hedge()
    escalate: Escalation = Escalation()
    prefer: Preference = Preference()


class Demand(NamedTuple):
    """One query, as far as choosing goes."""

    want: Want
    budget_ms: float
    """Objective left now (`want.latency_ms` is the whole of it)."""
    rows: int = 1
    in_bytes: int = 0
    out_bytes: int = 0
    hops: tuple[str, ...] = ()
    """Sites it has passed."""
    tiers: tuple[Tier, ...] | None = None
    """Where its tenant permits it to run; None: anywhere."""
    permit: Permit | None = None
    """What the policy permits this tenant for this task; None: all that it permits anybody."""
    tried: frozenset[tuple[str, str]] = frozenset()
    """(site, node) that have refused it."""


class Candidate(NamedTuple):
    """A variant on a node (or in a site) that could serve a demand, and what is predicted of it.

    A named tuple, as a frozen dataclass takes four times as long to make.
    """

    variant: str
    architecture: str
    accuracy: float
    format: str
    hardware: str
    site: str
    node: str
    """The site's name where `scope` is "site": its own router will choose."""
    tier: Tier
    warm: bool
    scope: Literal["node", "site"]
    link_ms: float
    transfer_ms: float
    queue_ms: float
    cold_ms: float
    run_ms: float
    finish_ms: float
    """The sum of the parts, each at the want's percentile."""
    cost_usd: float
    marginal_ms: float
    """What it adds to its node's queue while it is in flight."""
    worth_usd: float
    """What candidates are ordered by: the cost, and what the policy prefers beside it."""
    due_ms: float = inf
    """By when it has to be finished; infinite when it is expected to be late."""
    mbps: float = 0.0
    """The speed that `transfer_ms` was reckoned with; 0: not known."""


class Rejected(NamedTuple):
    """A group that will not serve a demand, and why."""

    variant: str
    hardware: str
    site: str
    tier: Tier
    warm: bool
    reason: str
    finish_ms: float | None
    cost_usd: float | None
    accuracy: float
    nodes: int
    link_ms: float | None = None
    """This and the following are of its best member; None: it has none that may be asked."""
    transfer_ms: float | None = None
    queue_ms: float | None = None
    cold_ms: float | None = None
    run_ms: float | None = None


class Plan(NamedTuple):
    """Ranked candidates, best first, and how many groups are out for each reason."""

    ranked: tuple[Candidate, ...]
    """The best, and the one to turn to next; all that fit in an explained plan."""
    counts: Mapping[str, int]
    """Groups by reason; with those ranked they are all the groups of the task that have a node."""
    rejected: tuple[Rejected, ...] = ()
    """One line per group that is out; only `explain` fills it."""
    fallback: tuple[Candidate, ...] = ()
    """Nothing is ranked and the policy says `fastest`: permitted, accurate, affordable, late."""
    pressed: tuple[Candidate, ...] = ()
    """Nothing is ranked: warm, and in time if they are run before what is due later there."""
    fastest_ms: float | None = None
    """The fastest finish at the want's accuracy; only when nothing is ranked, or explained."""
    best_accuracy: float | None = None
    """The best accuracy within the budget; only when nothing is ranked, or explained."""
    bytes_usd: Mapping[Tier, float] = MappingProxyType({})
    """What carrying its tensors to each tier costs: a part of every cost; only explained."""
    energy: Mapping[tuple[str, str, Tier], float | None] = MappingProxyType({})
    """What share of the busy time's price is energy, by site, hardware and tier; None where that is
    not known, or not the same for all; only explained."""
    cheapest: tuple[tuple[Group, float], ...] = ()
    """The warm groups that cost as little as the best, each with its run: among their members
    `choose_again` picks.
    Empty when there are too many, or when `explain` has made the plan."""
    within: tuple[Candidate, ...] = ()
    """Nothing is ranked or pressed: warm, and in time for a tenant that has not had its share."""
    cheapest_usd: float | None = None
    """What the cheapest costs that is accurate enough and in time; only when nothing is ranked for
    a want that says what it may cost."""
    crowded: PoolKey | None = None
    """Nothing is ranked: the one pool that would be in time if nobody waited there."""
