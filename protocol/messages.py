"""Every message, frozen, as one tagged union. How they travel is in codec."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from protocol.adverts import (
    Capacity,
    Describe,
    Description,
    Roster,
    SiteCapacity,
    Survey,
)
from protocol.blobs import Part, Read
from protocol.identity import Cloned, Enrol, Identified, Renew
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
    Tensor,
    Tier,
    VariantId,
    Wire,
)


class Want(Wire):
    """What a query needs. Never names a machine or a place."""

    task: Name
    latency_ms: Positive = 1000.0
    """The objective, at `percentile`."""
    percentile: Percentile = 99.0
    min_accuracy: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_cost_usd: NonNegative | None = None
    architecture: VariantId | None = None
    variant: VariantId | None = None


class Ask(Wire):
    """Run this variant by then."""

    id: RequestId
    variant: VariantId
    inputs: Many[Tensor]
    budget_ms: Positive
    """Objective left: refuse when the predicted finish is later than this."""
    deadline_ms: Positive
    """Hard deadline left: once admitted, drop the work rather than run it after this."""
    percentile: Percentile = 99.0
    late: bool = False
    """Run it even if it is to miss its objective: then in time left over from others."""
    tenant: Name = "local"
    """Tells tenants apart: a digest, so that a node knows none by name."""


class Answer(Wire):
    """The outputs, and how they came about."""

    kind: Literal["answer"] = "answer"
    id: RequestId
    variant: VariantId
    architecture: VariantId
    node: Name
    site: Name
    tier: Tier
    outputs: Many[Tensor]
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
]


class Refusal(Wire):
    """It will not be run, and why, so that the router can try the next one."""

    kind: Literal["refusal"] = "refusal"
    id: RequestId
    reason: RefusalReason
    detail: str = ""
    """Safe to show to the tenant that asked."""
    finish_ms: NonNegative | None = None
    """When it would have finished."""
    best_accuracy: float | None = None
    queue_ms: NonNegative = 0.0
    rejected: dict[str, Count] = Field(default_factory=dict)


Reply = Annotated[Answer | Refusal, Field(discriminator="kind")]


class Asks(Wire):
    """Router to agent: the asks that were ready in the same turn."""

    kind: Literal["asks"] = "asks"
    items: Many[Ask]

    def tensors(self) -> Iterator[Tensor]:
        for item in self.items:
            yield from item.inputs


class Replies(Wire):
    """Agent (or router) to whoever asked: the answers and refusals that were ready together."""

    kind: Literal["replies"] = "replies"
    items: Many[SerializeAsAny[Reply]]
    """As each is: trying the members of the union costs as much as writing the answer."""

    def tensors(self) -> Iterator[Tensor]:
        for item in self.items:
            if isinstance(item, Answer):
                yield from item.outputs


class Cancel(Wire):
    """Nobody waits for these any more."""

    kind: Literal["cancel"] = "cancel"
    ids: Many[RequestId]


class Parcel(Wire):
    """A frame too large for one message, which waits to be fetched where the reply would go."""

    kind: Literal["parcel"] = "parcel"
    id: Name
    size: Count
    """Bytes of the whole frame."""
    piece: Rows
    """The most that may be fetched at once."""
    answered: bool = False
    """The frame itself expects replies there; else the reply subject is for fetching only."""


class Fetch(Wire):
    """To whoever offered a parcel: a part of it, please. From its end: all of it is here."""

    kind: Literal["fetch"] = "fetch"
    id: Name
    start: Count


class Piece(Wire):
    """Some bytes of a parcel. None: it is not kept any more."""

    kind: Literal["piece"] = "piece"
    id: Name
    start: Count
    size: Annotated[int, Field(ge=0, lt=2**31)]

    def tensors(self) -> Iterator[Tensor]:
        yield Tensor(name="piece", datatype="UINT8", shape=(self.size,))


class Query(Wire):
    """A whole query on its way to a site's routers; answered by `Replies` of one."""

    kind: Literal["query"] = "query"
    id: RequestId
    want: Want
    """`want.latency_ms` is the objective left."""
    deadline_ms: Positive
    inputs: Many[Tensor]
    tenant: Name = "local"
    hops: Many[Name] = ()
    """Sites it has passed: a router never sends it to one of these."""
    tiers: Many[Tier] | None = None
    """Where the tenant permits it to run; None: anywhere."""
    traceparent: str | None = None

    def tensors(self) -> Iterator[Tensor]:
        yield from self.inputs


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
    accuracy: Annotated[float, Field(ge=0, le=1)]
    finish: Latency
    """From a query's arrival there."""


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


Message = Annotated[
    Asks
    | Replies
    | Cancel
    | Query
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
