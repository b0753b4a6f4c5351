"""The small types that messages and manifests share: tensors, distributions, prices."""

from bisect import bisect_left
from functools import lru_cache
from math import exp, log, prod
from typing import Annotated, Literal, Self, TypeVar

from msgspec import Meta
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from protocol.names import ID_PATTERN, NAME_PATTERN, TENSOR_PATTERN, VARIANT_PATTERN
from protocol.records import Record, check_tensor


class Wire(BaseModel):
    """Base of messages that are seldom: immutable, and tolerant of fields from newer peers."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def but(self, **changes: object) -> Self:
        """Return a copy with these fields changed, taken as they are."""
        return self.model_copy(update=changes)


T = TypeVar("T")
Many = Annotated[tuple[T, ...], Field(fail_fast=True)]
"""Stops at the first bad item: a mangled megabyte must not cost seconds of fault-finding."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
VariantId = Annotated[str, StringConstraints(pattern=VARIANT_PATTERN)]
RequestId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
TensorName = Annotated[str, StringConstraints(pattern=TENSOR_PATTERN)]
Tier = Literal["edge", "middle", "cloud"]

# Each bound twice: for pydantic, and for msgspec.
NonNegative = Annotated[float, Field(ge=0), Meta(ge=0)]
Positive = Annotated[float, Field(gt=0), Meta(gt=0)]
Share = Annotated[float, Field(ge=0, le=1), Meta(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0.001, le=1000), Meta(ge=0.001, le=1000)]
"""A tenant's share under overload, in proportion to the others'."""
Count = Annotated[int, Field(ge=0, lt=2**63), Meta(ge=0, le=2**63 - 1)]
"""Things or bytes: what a machine's own integers hold, so that no peer can overflow a column."""
Rows = Annotated[int, Field(ge=1, lt=2**31), Meta(ge=1, lt=2**31)]
Percentile = Annotated[float, Field(gt=0, lt=100), Meta(gt=0, lt=100)]

MAX_FAULT = 200
"""Characters of a fault that are repeated: it goes into a log line and to the caller."""


def fault(error: ValidationError) -> str:
    """Name the first fault by place and rule."""
    if error.error_count() > MAX_FAULT:  # listing them would take seconds
        return f"{error.error_count()} faults"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    text = f"{place}: {first['msg']}" if place else str(first["msg"])
    return text if len(text) <= MAX_FAULT else f"{text[:MAX_FAULT]}..."


ITEM_BYTES = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2,
    "UINT32": 4, "INT32": 4, "FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8,
}  # fmt: skip
"""Bytes per element of each Open Inference Protocol datatype that the mesh carries."""

Datatype = Literal[
    "BOOL", "UINT8", "INT8", "UINT16", "INT16", "FP16",
    "UINT32", "INT32", "FP32", "UINT64", "INT64", "FP64",
]  # fmt: skip


Dimension = Annotated[int, Field(ge=0, lt=2**31), Meta(ge=0, lt=2**31)]


@lru_cache(1024)
def _nbytes(datatype: Datatype, shape: tuple[int, ...]) -> int:
    return prod(shape) * ITEM_BYTES[datatype]


class Tensor(Record, frozen=True, kw_only=True, gc=False):
    """What one tensor of a frame is; its bytes follow the header, little-endian, row-major."""

    name: TensorName
    datatype: Datatype
    shape: Annotated[
        tuple[Dimension, ...],
        Field(min_length=1, max_length=8),
        Meta(min_length=1, max_length=8),
    ]

    def check(self) -> None:
        check_tensor(self.name)

    @property
    def nbytes(self) -> int:
        return _nbytes(self.datatype, self.shape)


class Axes(Wire):
    """A tensor's signature: like `Tensor`, with -1 for a dimension that callers choose."""

    name: TensorName
    datatype: Datatype
    shape: Annotated[
        tuple[Annotated[int, Field(ge=-1, lt=2**31)], ...], Field(min_length=1, max_length=8)
    ]


QUANTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
"""The percentiles that a distribution carries on the wire."""


Ms = Annotated[float, Field(ge=0, le=1e12)]
"""A latency; no more than thirty years."""


class Latency(Wire):
    """A measured distribution: milliseconds at each percentile of `QUANTILES`, never falling."""

    ms: tuple[Ms, Ms, Ms, Ms, Ms]
    count: Count = 0
    """Samples behind it; 0 says that it is an estimate."""

    @model_validator(mode="after")
    def _never_falls(self) -> "Latency":
        if any(b < a for a, b in zip(self.ms, self.ms[1:], strict=False)):
            raise ValueError("a higher percentile is never faster")
        return self

    def at(self, percentile: float) -> float:
        """Milliseconds at `percentile`, log-linear in the latency between the given ones.

        Below the first it is the first, above the last it is the last.
        """
        right = bisect_left(QUANTILES, percentile)
        if right == 0:
            return self.ms[0]
        if right == len(QUANTILES):
            return self.ms[-1]
        if percentile == QUANTILES[right]:
            return self.ms[right]
        low, high = self.ms[right - 1], self.ms[right]
        share = (percentile - QUANTILES[right - 1]) / (QUANTILES[right] - QUANTILES[right - 1])
        if low <= 0:
            return low + share * (high - low)
        slowest = log(high)
        between = exp(min(slowest, log(low) + share * (slowest - log(low))))
        return min(high, max(low, between))  # rounding must not leave the two


class Price(Wire):
    """What a node costs while it works, and while it is held."""

    watts: NonNegative = 0.0
    usd_per_kwh: NonNegative = 0.0
    usd_per_hour: NonNegative = 0.0

    @property
    def usd_per_busy_ms(self) -> float:
        """Energy and rent of one busy millisecond."""
        return (self.watts / 1000.0 * self.usd_per_kwh + self.usd_per_hour) / 3_600_000.0


class Profile(Wire):
    """How a variant behaves on one hardware class: measured there, or its bundle's reference."""

    load_ms: NonNegative
    memory_bytes: Count
    runs: Annotated[dict[Rows, Latency], Field(min_length=1)]
    """Run time by batch size (rows)."""
    measured: bool = False
    """False: not measured on this node; taken from the manifest."""

    def run(self, rows: int) -> Latency:
        """The distribution at the smallest profiled batch that holds `rows`, else the largest."""
        sizes = sorted(self.runs)
        return self.runs[next((size for size in sizes if size >= rows), sizes[-1])]
