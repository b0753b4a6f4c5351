"""Bytes by parts: of a bundle, as asked of a site's mirror; and of frames too large to be sent."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from protocol.types import Count, Name, Rows, Tensor, Wire

MAX_PART_BYTES = 1 << 20
"""The most that one part carries."""

BlobName = Annotated[
    str,
    StringConstraints(pattern=r"^(sha256-[0-9a-f]{64}|([1-9][0-9]{0,9}\.)?[a-z0-9-]{1,63}\.json)$"),
]
"""A digest, or a metadata file as TUF names it: never a path."""


class Read(Wire):
    """Give me these bytes of that file."""

    kind: Literal["read"] = "read"
    name: BlobName
    offset: Count = 0
    length: Annotated[int, Field(ge=1, lt=MAX_PART_BYTES + 1)] = MAX_PART_BYTES


class Part(Wire):
    """Some bytes of a file; they follow the header. None: there is no such file here."""

    kind: Literal["part"] = "part"
    total_bytes: Count | None = None
    """Of the whole file; null: it is not here."""
    offset: Count = 0
    size_bytes: Annotated[int, Field(ge=0, lt=MAX_PART_BYTES + 1)] = 0

    def tensors(self) -> Iterator[Tensor]:
        yield Tensor(name="bytes", datatype="UINT8", shape=(self.size_bytes,))


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
