"""Pure. Does a `.tflite` file hold together, or does an offset in it lead outside?

`tflite_runtime` does not look before it follows them: measured, a truncated file ends the process.
(`ai_edge_litert` looks.) This is no full check of the format, and none of whom to trust.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = b"TFL3"


@dataclass(frozen=True, slots=True)
class Plain:
    """A vector of numbers."""

    item_bytes: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table's fields that lead elsewhere, by number; a vector of tables is one as well."""

    fields: Mapping[int, "Plain | Table"]


# From the format's schema: only what a reader follows before anything is run.
_BYTES, _INTS = Plain(1), Plain(4)
_TENSOR = Table({0: _INTS, 3: _BYTES})
_OPERATOR = Table({1: _INTS, 2: _INTS})
_SUBGRAPH = Table({0: _TENSOR, 1: _INTS, 2: _INTS, 3: _OPERATOR, 4: _BYTES})
_NAMED = Table({0: _BYTES})
_MODEL = Table({
    1: Table({1: _BYTES}),  # operator codes
    2: _SUBGRAPH,
    4: Table({0: _BYTES}),  # buffers
    6: _NAMED,  # metadata
    7: Table({0: _NAMED, 1: _NAMED, 2: _BYTES}),  # signatures
})  # fmt: skip


def holds_together(data: bytes) -> bool:
    """Whether every offset on the way to tensors and weights stays inside the file."""
    if data[4:8] != MAGIC:
        return False
    try:
        _table(data, _offset(data, 0), _MODEL)
    except (struct.error, IndexError):
        return False
    return True


def _table(data: bytes, at: int, kind: Table) -> None:
    vtable = at - struct.unpack_from("<i", data, at)[0]
    if vtable < 0:
        raise IndexError(vtable)
    vtable_bytes, table_bytes = struct.unpack_from("<HH", data, vtable)
    _within(data, vtable, vtable_bytes)
    _within(data, at, table_bytes)
    for number, leads_to in kind.fields.items():
        entry = 4 + 2 * number
        if entry + 2 > vtable_bytes:
            continue
        place = struct.unpack_from("<H", data, vtable + entry)[0]
        if place:
            _vector(data, _offset(data, at + place), leads_to)


def _vector(data: bytes, at: int, kind: Plain | Table) -> None:
    count = struct.unpack_from("<I", data, at)[0]
    if isinstance(kind, Plain):
        _within(data, at + 4, count * kind.item_bytes)
        return
    _within(data, at + 4, count * 4)
    for place in range(at + 4, at + 4 + 4 * count, 4):
        _table(data, _offset(data, place), kind)


def _offset(data: bytes, at: int) -> int:
    """Where the relative offset at `at` leads."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _within(data: bytes, at: int, nbytes: int) -> None:
    if at + nbytes > len(data):
        raise IndexError(at + nbytes)
