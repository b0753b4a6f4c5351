"""Pure. Entries of the audit log, each bound to the one before it by a hash; and their check.

An entry is one line of JSON: `n` counts from 1, `hash` is SHA-256 over the line without it, and
`prev` is the hash of the entry before. So no entry can be changed, left out, added or moved without
every later hash changing. What a chain alone cannot show is its end cut off, or the whole of it
written anew: for that keep the head (`n` and `hash`) elsewhere, and give it to `verified`.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edge_agent.audit import Plain
from protocol.errors import BadRequestError
from protocol.names import check_name

GENESIS = "0" * 64
MAX_FIELDS = 32
MAX_TEXT = 512
"""Longer values are cut: an entry names things, it does not carry them."""


class Head(NamedTuple):
    """The last entry of a chain."""

    n: int = 0
    hash: str = GENESIS


class Entry(NamedTuple):
    """One thing that happened."""

    n: int
    at: float
    """Seconds since the epoch, by the clock of whoever wrote it."""
    kind: str
    fields: dict[str, Plain]
    prev: str
    hash: str

    @property
    def head(self) -> Head:
        return Head(self.n, self.hash)

    def line(self) -> str:
        """The entry as it stands in the file."""
        return _canonical(self._asdict()) + "\n"


class Checked(NamedTuple):
    """What a check has found."""

    head: Head
    fault: str = ""
    """What is wrong, and where; empty: nothing."""


def linked(head: Head, at: float, kind: str, fields: Mapping[str, Plain]) -> Entry:
    """Return the entry that follows `head`; raise `BadRequestError` for what may not stand in one.

    A number that JSON cannot say is written as text.
    """
    if len(fields) > MAX_FIELDS:
        raise BadRequestError(f"{len(fields)} fields in an audit entry", f"at most {MAX_FIELDS}")
    kept = {name: _plain(value) for name, value in fields.items()}
    body = {
        "n": head.n + 1, "at": round(at, 3), "kind": check_name(kind, "kind of audit entry"),
        "fields": kept, "prev": head.hash,
    }  # fmt: skip
    return Entry(head.n + 1, round(at, 3), kind, kept, head.hash, _hash(body))


def parsed(line: str) -> Entry:
    """Return the entry of a line, wherever it belongs; raise `BadRequestError`."""
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise BadRequestError("a line of the audit log is not an entry", _HINT) from error
    body = entry._asdict()
    claimed = body.pop("hash")
    if _hash(body) != claimed:
        raise BadRequestError(f"entry {entry.n!s:.20} of the audit log was changed", _HINT)
    return entry


def verified(lines: Iterable[str], after: Head = Head(), known: Head | None = None) -> Checked:  # noqa: B008  # frozen
    """Check that `lines` follow `after` without a gap, and that the `known` head is among them."""
    head, passed = after, known is None or known == after
    for line in lines:
        try:
            entry = parsed(line)
        except BadRequestError as error:
            return Checked(head, f"after entry {head.n}: {error.error}")
        if entry.n != head.n + 1 or entry.prev != head.hash:
            return Checked(head, f"after entry {head.n}: entry {entry.n} does not follow it")
        head = entry.head
        passed = passed or head == known
    if not passed and known is not None:
        return Checked(
            head, f"it ends without the entry {known.n} that is known to have been there"
        )
    return Checked(head)


def _plain(value: Plain) -> Plain:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _hash(body: Mapping[str, object]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _canonical(body: Mapping[str, object]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


_HINT = "keep this file as it is, and see with what it differs from a copy"
