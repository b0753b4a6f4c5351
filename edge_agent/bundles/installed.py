"""Which bundle versions are switched in: one small file a bundle, put in place in one step.

It names a digest; that the digest is signed for, and the bytes are the digest's, is checked again
when a node starts and when a variant is loaded.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.bundles.believed import Target
from edge_agent.bundles.disk import Disk
from protocol.bundles import Digest
from protocol.types import Count, Name, Rows

log = logging.getLogger(__name__)


class Version(BaseModel):
    """A bundle version that was verified and tried here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    version: Rows
    digest: Digest
    size_bytes: Count

    @classmethod
    def of(cls, target: Target) -> "Version":
        return cls(
            path=target.path,
            version=target.version,
            digest=target.digest,
            size_bytes=target.size_bytes,
        )


class Switch(BaseModel):
    """What is switched in of one bundle, and what was before."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    publisher: Name
    bundle: Name
    current: Version
    previous: Version | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.publisher, self.bundle


class Installed:
    """The files. Its methods block."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk

    def all(self) -> dict[tuple[str, str], Switch]:
        """Everything that is switched in; a damaged file counts as nothing."""
        return {switch.key: switch for switch in self._read()}

    def switch(self, target: Target) -> Switch:
        """Switch this version in; the one before it is kept."""
        before = self.all().get(target.key)
        previous = before.current if before is not None else None
        if previous is not None and previous.digest == target.digest and before is not None:
            previous = before.previous
        made = Switch(
            publisher=target.publisher,
            bundle=target.bundle,
            current=Version.of(target),
            previous=previous,
        )
        self._disk.put(self._file(*target.key), made.model_dump_json(indent=1).encode())
        return made

    def remove(self, key: tuple[str, str]) -> None:
        """Switch a bundle out."""
        self._disk.remove(self._file(*key))
        self._disk.sync_folder(self._folder)

    def _file(self, publisher: str, bundle: str) -> Path:
        return self._folder / f"{publisher}.{bundle}.json"

    def _read(self) -> Iterator[Switch]:
        for name in self._disk.names(self._folder):
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                yield Switch.model_validate_json(self._disk.read(self._folder / name) or b"")
            except ValidationError:
                log.warning("%s is damaged: that bundle is installed anew", self._folder / name)
