"""Pure. A request checked against its task: parsed once, and remembered by its very bytes.

A client that sends binary tensors sends the same few hundred bytes of JSON before them again and
again. What those say is worked out once; each request still has its own tensors cut and measured.
"""

from typing import NamedTuple

from middle_tier.http import oip
from middle_tier.http.oip import Output
from middle_tier.http.signature import Signature
from middle_tier.http.wants import Wanted
from middle_tier.http.wants import read as read_wants
from protocol.codec import Bytes
from protocol.types import Tensor

MAX_KNOWN = 256
MAX_KNOWN_BYTES = 2048
"""Longer JSON is parsed each time."""


class Checked(NamedTuple):
    """A request that keeps every rule."""

    id: str | None
    wanted: Wanted
    tensors: tuple[Tensor, ...]
    buffers: tuple[Bytes, ...]
    rows: int
    outputs: tuple[Output, ...]


class Reader:
    """Reads requests for one task."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._known: dict[tuple[str | None, bytes], tuple[Checked, tuple[slice, ...], int]] = {}

    def read(
        self, variant: str | None, body: bytes | bytearray | memoryview, json_length: str | None
    ) -> Checked:
        """Return what the request says, or raise `BadRequestError`."""
        view = memoryview(body)
        if json_length is None:
            return self._read(variant, view, json_length)[0]
        end = oip.length(json_length, len(view))
        if end > MAX_KNOWN_BYTES:
            return self._read(variant, view, json_length)[0]
        key = (variant, bytes(view[:end]))
        known = self._known.get(key)
        if known is None or len(view) - end != known[2]:
            return self._learn(key, view, json_length)
        tail = view[end:]
        (number, wanted, tensors, _, rows, outputs), cuts, _ = known
        return Checked(number, wanted, tensors, tuple([tail[c] for c in cuts]), rows, outputs)

    def _learn(self, key: tuple[str | None, bytes], view: memoryview, json_length: str) -> Checked:
        checked, cuts, nbytes = self._read(key[0], view, json_length)
        if cuts and checked.id is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = (checked._replace(buffers=()), cuts, nbytes)
        return checked

    def _read(
        self, variant: str | None, view: memoryview, json_length: str | None
    ) -> tuple[Checked, tuple[slice, ...], int]:
        request = oip.read(view, json_length)
        wanted = read_wants(self.signature.task.name, variant, request.parameters)
        tensors, buffers, rows, cuts = self.signature.read(request.inputs, request.tail)
        outputs = oip.wanted_outputs(request, self.signature)
        checked = Checked(request.id, wanted, tensors, buffers, rows, outputs)
        return checked, cuts, len(request.tail)
