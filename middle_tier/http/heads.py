"""Pure. HTTP heads of the fast lane: of the requests that it takes, and of its responses.

It takes plain inferences and nothing else.

Parsing is httptools' (llhttp). A client sends the same head again and again, so what a head says is
remembered by its bytes; whether its token still holds is the gate's to say each time.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

import httptools

from middle_tier.http.call import Call
from middle_tier.http.oip import Response

PREFIX = b"POST /v2/models/"
"""What the fast lane takes begins like this."""

MAX_HEAD_BYTES = 16 << 10
MAX_KNOWN = 512
MAX_KNOWN_BYTES = 4096
"""Longer heads are parsed each time."""


class Head(NamedTuple):
    """What the lane needs to know of a request before its body."""

    call: Call
    length: int
    keep_alive: bool


_WANTED = {
    b"host": "host",
    b"content-length": "length",
    b"authorization": "authorization",
    b"inference-header-content-length": "json_length",
    b"idempotency-key": "key",
    b"traceparent": "traceparent",
}
_UNUSUAL = frozenset(
    {b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer", b"te"}
)
"""Headers that make a request the slow lane's."""


class Heads:
    """Reads heads, and remembers those that come again."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> Head | None:
        """Return what `raw`, a head with its empty line, says; None: not for the fast lane."""
        head = self._known.get(raw)
        if head is not None:
            return head
        head = _read(raw)
        if head is not None and len(raw) <= MAX_KNOWN_BYTES:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[raw] = head
        return head


class _Parts:
    """What httptools calls back with."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: dict[str, str] = {}
        self.plain = True
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        field = _WANTED.get(lower)
        if field is not None:
            self.plain = self.plain and field not in self.fields
            self.fields[field] = value.decode("latin-1")
        elif lower in _UNUSUAL:
            self.plain = False

    def on_headers_complete(self) -> None:
        self.complete = True

    def on_body(self, _: bytes) -> None:
        """The parser sees an end of the head before we do: not for us to settle."""
        self.plain = False


def _read(raw: bytes) -> Head | None:
    parts = _Parts()
    parser = httptools.HttpRequestParser(parts)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if not (parts.complete and parts.plain) or parser.get_method() != b"POST":
        return None
    place, length = _place(parts.url), parts.fields.pop("length", "")
    usual = parser.get_http_version() == "1.1" and length.isascii() and length.isdigit()
    fields = parts.fields
    if place is None or not usual or int(length) == 0 or "host" not in fields:
        return None
    call = Call(
        task=place[0],
        variant=place[1],
        authorization=fields.get("authorization"),
        json_length=fields.get("json_length"),
        key=fields.get("key"),
        traceparent=fields.get("traceparent"),
    )
    return Head(call, int(length), parser.should_keep_alive())


def _place(url: bytes) -> tuple[str, str | None] | None:
    """Task and variant of an inference path; None for every other, or one with escapes."""
    if not url.isascii() or b"%" in url or b"?" in url or b"#" in url:
        return None
    match url.decode().split("/"):
        case ["", "v2", "models", task, "infer"] if task:
            return task, None
        case ["", "v2", "models", task, "versions", variant, "infer"] if task and variant:
            return task, variant
    return None


def response_head(response: Response, size: int, *, last: bool) -> bytes:
    """Status line and headers; `last` tells the client that the connection ends with it."""
    return _head(response.status, response.content_type, response.headers, size, last)


@lru_cache(MAX_KNOWN)
def _head(  # remembered, as answers to one task are alike
    status: int,
    content_type: str,
    headers: tuple[tuple[str, str], ...],
    size: int,
    last: bool,  # noqa: FBT001
) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    end = "connection: close\r\n\r\n" if last else "\r\n"
    text = f"{_LINES[status]}{content_type}\r\ncontent-length: {size}\r\n{lines}{end}"
    return text.encode("latin-1")


_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: "
    for status in HTTPStatus
}
