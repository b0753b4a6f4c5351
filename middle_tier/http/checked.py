"""Pure. A request checked against its task: parsed once, and remembered by its very bytes.

A client that sends binary tensors sends the same few hundred bytes of JSON before them again and
again. What those say is worked out once; each request still has its own tensors cut and measured.
"""

from dataclasses import dataclass, field

from middle_tier.http import oip
from middle_tier.http.oip import Output
from middle_tier.http.signature import Signature
from middle_tier.http.wants import Wanted
from middle_tier.http.wants import read as read_wants
from protocol.codec import Bytes
from protocol.messages import Query
from protocol.tokens import Claims
from protocol.types import Tensor, Tier

MAX_KNOWN = 256
MAX_KNOWN_BYTES = 2048
"""Longer JSON is parsed each time."""

MAX_CALLERS = 64
"""Kinds of callers for whom one form remembers the query."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What a request says that keeps every rule, but for its tensors: many may say the same."""

    id: str | None
    wanted: Wanted
    tensors: tuple[Tensor, ...]
    rows: int
    outputs: tuple[Output, ...]
    cuts: tuple[slice, ...]
    """Where each tensor lies behind the JSON; empty unless all of them do."""
    tail_bytes: int
    _queries: dict[tuple[str, tuple[Tier, ...] | None], Query] = field(default_factory=dict)

    def query(
        self, id_: str, claims: Claims, traceparent: str | None, *, share: float = 1.0
    ) -> Query:
        """Return the query of a caller with these claims."""
        key = (claims.sub, claims.tiers)
        known = self._queries.get(key)
        if known is None:
            if len(self._queries) >= MAX_CALLERS:
                self._queries.clear()
            known = self._queries[key] = Query(
                id=id_,
                want=self.wanted.want,
                deadline_ms=self.wanted.deadline_ms,
                inputs=self.tensors,
                tenant=claims.sub,
                tiers=claims.tiers,
            )
        return known.but(id=id_, traceparent=traceparent, share=share)


Checked = tuple[Form, tuple[Bytes, ...]]
"""A request: what it says, and its own tensors."""


class Reader:
    """Reads requests for one task."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._known: dict[tuple[str | None, str, bytes], Form] = {}

    def read(self, variant: str | None, body: Bytes, json_length: str | None) -> Checked:
        """Return what the request says, or raise `BadRequestError`."""
        view = memoryview(body)
        if json_length is None:
            return self._read(variant, view, json_length)
        end = oip.length(json_length, len(view))
        if end > MAX_KNOWN_BYTES:
            return self._read(variant, view, json_length)
        key = (variant, json_length, bytes(view[:end]))
        form = self._known.get(key)
        if form is None or len(view) - end != form.tail_bytes:
            return self._learn(key, view)
        tail = view[end:]
        return form, tuple([tail[cut] for cut in form.cuts])

    def _learn(self, key: tuple[str | None, str, bytes], view: memoryview) -> Checked:
        form, buffers = self._read(key[0], view, key[1])
        if form.cuts and form.id is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = form
        return form, buffers

    def _read(self, variant: str | None, view: memoryview, json_length: str | None) -> Checked:
        request = oip.read(view, json_length)
        wanted = read_wants(self.signature.task.name, variant, request.parameters)
        tensors, buffers, rows, cuts = self.signature.read(request.inputs, request.tail)
        outputs = oip.wanted_outputs(request, self.signature)
        form = Form(request.id, wanted, tensors, rows, outputs, cuts, len(request.tail))
        return form, buffers
