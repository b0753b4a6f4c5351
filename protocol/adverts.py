"""What nodes and sites say of their capacity: adverts, descriptions, summaries, rosters."""

from typing import Annotated, Literal

from pydantic import Field

from protocol.bundles import Task
from protocol.types import (
    Count,
    Latency,
    Many,
    Name,
    NonNegative,
    Positive,
    Price,
    Profile,
    Rows,
    Tier,
    VariantId,
    Wire,
)

VERSION = 2
"""Minor version of the wire under tm.v1; peers one away are accepted. 2: parcels."""


class Loaded(Wire):
    """One variant in a node's memory, or on its way there."""

    variant: VariantId
    state: Literal["loading", "warm"]


class Capacity(Wire):
    """A node's advert: what it can do now."""

    kind: Literal["capacity"] = "capacity"
    version: Count = VERSION
    node: Name
    site: Name
    tier: Tier
    hardware: Name
    """Hardware class: nodes of one class run a variant alike."""
    boot: str
    """Drawn at each start; two that interleave are a clone."""
    sequence: Count
    state: Literal["ready", "draining", "leaving"] = "ready"
    period_s: Positive = 2.0
    loaded: Many[Loaded] = ()
    queue_ms: NonNegative = 0.0
    memory_bytes: Count = 0
    memory_free_bytes: Count = 0
    link: Latency = Latency(ms=(0.0, 0.0, 0.0, 0.0, 0.0))
    """Round trip from this node to its site's router, as the node measures it."""
    mbps: Positive = 1000.0
    price: Price = Price()
    revision: Count = 0
    """Of its `Description`: ask again when it has changed."""


class VariantInfo(Wire):
    """What a router must know of a variant that a node can run."""

    variant: VariantId
    task: Name
    architecture: VariantId
    format: str
    precision: str
    accuracy: Annotated[float, Field(ge=0, le=1)]
    max_batch: Rows
    size_bytes: Count
    profile: Profile


class Describe(Wire):
    """Asks a node for its `Description`."""

    kind: Literal["describe"] = "describe"


class Description(Wire):
    """The slow-changing part of a node: tasks, variants it can run, their profiles."""

    kind: Literal["description"] = "description"
    node: Name
    site: Name
    revision: Count
    tasks: Many[Task]
    variants: Many[VariantInfo]
    unable: dict[str, str] = Field(default_factory=dict)
    """Variant ids that it holds and may not run, with the reason."""


class Offer(Wire):
    """One line of a site's summary: nodes of one class that can serve one variant."""

    info: VariantInfo
    hardware: Name
    tier: Tier
    warm: bool
    nodes: Count
    queue_ms: NonNegative
    link: Latency
    mbps: Positive
    price: Price


class SiteCapacity(Wire):
    """A site's advert to its parent: `Capacity` and `Description` of a whole site in one."""

    kind: Literal["site"] = "site"
    version: Count = VERSION
    site: Name
    boot: str
    sequence: Count
    period_s: Positive = 1.0
    link: Latency
    """Round trip from the site's router to its parent's, as the site measures it."""
    mbps: Positive = 1000.0
    nodes: dict[str, Count] = Field(default_factory=dict)
    """Live nodes by tier."""
    tasks: Many[Task] = ()
    offers: Many[Offer] = ()


class RunsSeen(Wire):
    """What a router predicts of one variant's runs on a node, beside what answers have shown.

    For one row; larger batches are put down as what one row would have taken.
    """

    variant: VariantId
    count: Count
    """Answers that were looked at: the last few."""
    predicted_p50_ms: NonNegative
    predicted_p99_ms: NonNegative
    observed_p50_ms: NonNegative
    observed_p99_ms: NonNegative
    correction: NonNegative
    """What the prediction is over the median that was profiled."""


class NodeStatus(Wire):
    """A node as its site's router sees it."""

    advert: Capacity
    health: Literal["alive", "suspect", "gone"]
    silent_s: NonNegative
    variants: Many[VariantId] = ()
    """All that it can run."""
    unable: dict[str, str] = Field(default_factory=dict)
    runs: Many[RunsSeen] = ()
    """Of the variants that it has answered with lately."""


class Survey(Wire):
    """Asks a site's routers, on their route subject, for the `Roster`: for people, not planning."""

    kind: Literal["survey"] = "survey"


class Roster(Wire):
    """Every node that a site's router knows."""

    kind: Literal["roster"] = "roster"
    site: Name
    nodes: Many[NodeStatus]
