"""Where metadata and bundle bytes come from: a folder, or a site's mirror. Believes nothing.

A source may be hostile: what it gives is bounded by fetch and verified by trust.
"""

import asyncio
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from edge_agent.bus.base import Bus
from protocol.blobs import BlobName, Part, Read
from protocol.codec import Bytes, Frame
from protocol.errors import BadNameError, UnknownError, UnreachableError
from protocol.subjects import BlobSubject

METADATA, BLOBS = "metadata", "blobs"
"""The folders of a repository."""

_NAME: TypeAdapter[str] = TypeAdapter(BlobName)


class Piece(NamedTuple):
    """Some bytes of a file."""

    total_bytes: int
    offset: int
    data: Bytes


class Source(Protocol):
    """Gives ranges of files that are named by digest or as TUF names metadata."""

    async def read(self, name: str, offset: int, length: int) -> Piece:
        """Return at most `length` bytes from `offset`.

        Raises `UnknownError` when there is no such file, `UnreachableError` when nobody answers.
        """
        ...


class FolderSource:
    """A repository's folder: beside its publisher, or on a stick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<FolderSource {self._folder}>"

    async def read(self, name: str, offset: int, length: int) -> Piece:
        return await asyncio.to_thread(self._read, name, offset, length)

    def _read(self, name: str, offset: int, length: int) -> Piece:
        return ranged(located(self._folder, name), offset, length)


class MeshSource:
    """The mirror of a site, over the bus."""

    def __init__(self, bus: Bus, site: str, *, timeout_s: float = 10.0) -> None:
        self._bus = bus
        self._subject = str(BlobSubject(site))
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"<MeshSource {self._subject}>"

    async def read(self, name: str, offset: int, length: int) -> Piece:
        asked = Frame(Read(name=name, offset=offset, length=length))
        reply = await self._bus.request(self._subject, asked, self._timeout_s)
        match reply.message:
            case Part(total_bytes=None):
                raise UnknownError(f"no {name} at {self._subject}")
            case Part(total_bytes=int(total), offset=at):
                return Piece(total, at, reply.buffers[0])
            case other:
                raise UnreachableError(f"{self._subject} answers with {other.kind}")


def located(folder: Path, name: str) -> Path:
    """Return where a repository keeps a file; raise `BadNameError` for any other name."""
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise BadNameError(f"{name[:100]!r} names no blob and no metadata") from error
    return folder / (BLOBS if name.startswith("sha256-") else METADATA) / name


def ranged(path: Path, offset: int, length: int) -> Piece:
    """Return some bytes of a file. Raises `UnknownError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            total = file.seek(0, 2)
            file.seek(min(offset, total))
            return Piece(total, offset, file.read(length))
    except OSError as error:
        raise UnknownError(f"no {path.name} here: {error.strerror}") from error
