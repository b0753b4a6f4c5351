"""Every message, frozen, as one tagged union. How they travel is in codec."""

from typing import Annotated, Literal

from msgspec import Meta, field
from pydantic import Field

from protocol.adverts import (
    Capacity,
    Describe,
    Description,
    Roster,
    SiteCapacity,
    Survey,
)
from protocol.blobs import Fetch, Parcel, Part, Piece, Read
from protocol.identity import Cloned, Enrol, Identified, Renew
from protocol.records import Record, check_id, check_name, check_tensor, check_variant
from protocol.types import (
    Count,
    Latency,
    Many,
    Name,
    NonNegative,
    Percentile,
    Positive,
    RequestId,
    Rows,
    Share,
    Tensor,
    Tier,
    VariantId,
    Weight,
    Wire,
)

MAX_HOPS, MAX_TRACE = 32, 512
"""Sites, and characters: more than any way has."""


class Want(Wire):
    """What a query needs. Never names a machine or a place."""

    task: Name
    latency_ms: Positive = 1000.0
    """The objective, at `percentile`."""
    percentile: Percentile = 99.0
    min_accuracy: Share = 0.0
    max_cost_usd: NonNegative | None = None
    architecture: VariantId | None = None
    variant: VariantId | None = None


class Ask(Record, frozen=True, kw_only=True):
    """Run this variant by then."""

    id: RequestId
    variant: VariantId
    inputs: tuple[Tensor, ...]
    budget_ms: Positive
    """Objective left: refuse when the predicted finish is later than this."""
    deadline_ms: Positive
    """Hard deadline left: once admitted, drop the work rather than run it after this."""
    percentile: Percentile = 99.0
    late: bool = False
    """Run it even if it is to miss its objective: then in time left over from others."""
    tenant: Name = "local"
    """Tells tenants apart: a digest, so that a node knows none by name."""
    share: Weight = 1.0
    """What the tenant gets of a node that has too much to do, in proportion to the others."""

    def check(self) -> None:
        check_id(self.id)
        check_variant(self.variant)
        check_name(self.tenant)
        for tensor in self.inputs:
            check_tensor(tensor.name)


class Answer(Record, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """The outputs, and how they came about."""

    id: RequestId
    variant: VariantId
    architecture: VariantId
    node: Name
    site: Name
    tier: Tier
    outputs: tuple[Tensor, ...]
    run_ms: NonNegative
    """Time in the runtime, of the whole batch that it was part of."""
    held_ms: NonNegative
    """From receipt to answer on the answering side: what remains of a round trip is the link."""
    batch: Rows = 1
    """Rows that ran together."""
    cold: bool = False
    queue_ms: NonNegative = 0.0
    """Work queued on the node now."""
    predicted_ms: NonNegative = 0.0
    cost_usd: NonNegative = 0.0

    def check(self) -> None:
        check_id(self.id)
        check_variant(self.variant)
        check_variant(self.architecture)
        check_name(self.node)
        check_name(self.site)
        for tensor in self.outputs:
            check_tensor(tensor.name)


RefusalReason = Literal[
    "deadline",  # it would finish too late, or it has
    "memory",  # does not fit beside what is in use
    "unknown_variant",
    "unlisted_runtime",
    "queue_full",
    "draining",
    "bad_tensor",
    "load_failed",
    "run_failed",
    "cancelled",
    "no_candidate",  # a router's: nobody here can meet it
    "unreachable",
    "forbidden",  # to a tenant that connects natively, as the next
    "over_budget",
    "conflict",
]


class Refusal(Record, frozen=True, kw_only=True, tag_field="kind", tag="refusal"):
    """It will not be run, and why, so that the router can try the next one."""

    id: RequestId
    reason: RefusalReason
    detail: str = ""
    """Safe to show to the tenant that asked."""
    finish_ms: NonNegative | None = None
    """When it would have finished."""
    best_accuracy: float | None = None
    queue_ms: NonNegative = 0.0
    rejected: dict[str, Count] = field(default_factory=dict)

    def check(self) -> None:
        check_id(self.id)


Reply = Answer | Refusal


class Asks(Record, frozen=True, kw_only=True, tag_field="kind", tag="asks"):
    """Router to agent: the asks that were ready in the same turn."""

    items: tuple[Ask, ...]

    def check(self) -> None:
        for item in self.items:
            item.check()

    def tensors(self) -> list[Tensor]:
        return [tensor for item in self.items for tensor in item.inputs]


class Replies(Record, frozen=True, kw_only=True, tag_field="kind", tag="replies"):
    """Agent (or router) to whoever asked: the answers and refusals that were ready together."""

    items: tuple[Reply, ...]

    def check(self) -> None:
        for item in self.items:
            item.check()

    def tensors(self) -> list[Tensor]:
        return [tensor for item in self.items if type(item) is Answer for tensor in item.outputs]


class Cancel(Wire):
    """Nobody waits for these any more."""

    kind: Literal["cancel"] = "cancel"
    ids: Many[RequestId]


class Query(Record, frozen=True, kw_only=True, tag_field="kind", tag="query"):
    """A whole query on its way to a site's routers; answered by `Replies` of one."""

    id: RequestId
    want: Want
    """`want.latency_ms` is the objective left."""
    deadline_ms: Positive
    inputs: tuple[Tensor, ...]
    tenant: Name = "local"
    hops: Annotated[tuple[Name, ...], Meta(max_length=MAX_HOPS)] = ()
    """Sites it has passed: a router never sends it to one of these."""
    tiers: tuple[Tier, ...] | None = None
    """Where the tenant permits it to run; None: anywhere."""
    traceparent: Annotated[str, Meta(max_length=MAX_TRACE)] | None = None
    share: Weight = 1.0
    """The tenant's, as the gate knows it."""

    def check(self) -> None:
        check_id(self.id)
        for name in (self.tenant, *self.hops):
            check_name(name)
        for tensor in self.inputs:
            check_tensor(tensor.name)

    def tensors(self) -> tuple[Tensor, ...]:
        return self.inputs


class Order(Wire):
    """To an agent: load or evict a variant, drain, resume. The verb is the subject's."""

    kind: Literal["order"] = "order"
    variant: VariantId | None = None


class Done(Wire):
    """What came of an order."""

    kind: Literal["done"] = "done"
    ok: bool
    detail: str = ""


class Missed(Wire):
    """A query that stayed below, as nobody above could have met it: what it would have needed."""

    want: Want
    rows: Rows = 1
    in_bytes: Count = 0
    out_bytes: Count = 0
    tiers: Many[Tier] | None = None


class Reach(Wire):
    """The earliest that a site could answer a task at this accuracy or better."""

    task: Name
    accuracy: Share
    finish: Latency
    """From a query's arrival there."""
    alone: Latency | None = None
    """The same if nobody waited there: for a tenant that has not had its share."""


class Ping(Wire):
    """Asks for a `Pong`: measures a round trip between processes."""

    kind: Literal["ping"] = "ping"
    site: Name | None = None
    """Who asks: what it has itself is not offered to it."""
    missed: Many[Missed] = ()
    """From a site to its parent, since the last: so that it can make something warm."""


class Pong(Wire):
    """Says that somebody is there."""

    kind: Literal["pong"] = "pong"
    reach: Many[Reach] | None = None
    """A site's: what it could do now, the most accurate first. None: it does not say."""


Seldom = Annotated[
    Cancel
    | Parcel
    | Fetch
    | Piece
    | Capacity
    | Describe
    | Description
    | SiteCapacity
    | Survey
    | Roster
    | Order
    | Done
    | Ping
    | Pong
    | Read
    | Part
    | Enrol
    | Renew
    | Identified
    | Cloned,
    Field(discriminator="kind"),
]
"""What pydantic reads."""

Often = Asks | Replies | Query
"""What msgspec reads: records."""

Message = Often | Seldom
