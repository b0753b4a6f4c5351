"""Pure. One refusal of trust, as a node tells it: a closed form, so that nothing else can be said.

Who tells is in the subject, which the NATS servers hold a node to, and nowhere in here.
"""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError

from protocol.errors import DecodeError
from protocol.types import Wire

Kind = Literal["trust-refused", "token-refused"]
KINDS: tuple[str, ...] = get_args(Kind)
"""What a node may tell. All else that it does is its own log's."""
EVENT = "audit"
"""The kind of event that reports travel as."""

MAX_BYTES = 4096
"""Of a report on the wire."""
MAX_WHAT, MAX_REASON, MAX_ERROR = 200, 64, 400
MOST = 10**9


def printable(text: str) -> str:
    """The text without what would steer a terminal that it is shown on."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


_Shown = AfterValidator(printable)
_Count = Annotated[int, Field(ge=0, le=MOST)]


class Report(Wire):
    """What was refused, and why."""

    journal: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    """Who counts: made with the journal's file."""
    number: Annotated[int, Field(ge=1, le=2**53)]
    """Grows by one with each report of a journal: one that comes twice is known by it."""
    kind: Kind
    at: Annotated[float, Field(ge=0, le=1e12)]
    """Seconds since the epoch when it was refused, by the node's own clock."""
    what: Annotated[str, Field(max_length=MAX_WHAT), _Shown] = ""
    reason: Annotated[str, Field(max_length=MAX_REASON), _Shown] = ""
    error: Annotated[str, Field(max_length=MAX_ERROR), _Shown] = ""
    count: Annotated[int, Field(ge=1, le=MOST)] = 1
    """How often, where that was counted."""
    unsaid: _Count = 0
    """Refusals beside this one that were too many to be told of."""

    @property
    def id(self) -> str:
        """Of the message, among all."""
        return f"{self.journal}.{self.number}"


def read(data: bytes) -> Report:
    """Return what somebody says; raise `DecodeError`, which repeats none of it."""
    if len(data) > MAX_BYTES:
        raise DecodeError("the report is too long")
    try:
        return Report.model_validate_json(data)
    except (ValidationError, RecursionError):
        raise DecodeError("the report is malformed") from None
