"""Pure. An inference request as either lane of HTTP takes it from the wire, but for its body."""

from typing import NamedTuple


class Call(NamedTuple):
    """Where it goes, and what its headers say."""

    task: str
    variant: str | None
    authorization: str | None
    json_length: str | None
    key: str | None
    """Of the Idempotency-Key header."""
    traceparent: str | None
