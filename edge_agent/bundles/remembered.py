"""What was believed before, on disk: the metadata in one file, and the floors in another.

One file for all metadata, because its roles are only believed together: a power cut leaves the old
ones or the new ones. The floors are apart, so that they survive a wiped cache, and are written
first: they may be ahead of the metadata, never behind.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge_agent.bundles.believed import Floors
from edge_agent.bundles.disk import Disk
from edge_agent.bundles.trust import TOP, TrustedSet
from protocol.errors import ConflictError, UntrustedError

log = logging.getLogger(__name__)

_FILE: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_DIGESTS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Memory:
    """What a node starts from."""

    root: bytes
    """The newest root that it believes."""
    roots: Mapping[int, bytes]
    """Those that led there, for whoever is further behind."""
    trusted: TrustedSet | None
    """What it believed when it was last up to date, however long ago; None: nothing yet."""
    floors: Floors


class Remembered:
    """The files. Its methods block."""

    def __init__(self, folder: Path, disk: Disk, provisioned: bytes) -> None:
        self._folder = folder
        self._disk = disk
        self._provisioned = provisioned

    @property
    def _metadata(self) -> Path:
        return self._folder / "metadata.json"

    @property
    def _floors(self) -> Path:
        return self._folder / "floors.json"

    def recall(self) -> Memory:
        """Return what was believed, verified again (but for its age, which serving ignores).

        Raises `ConflictError` when the floors cannot be read: to go on without them would be to
        believe anything old.
        """
        floors = self._recall_floors()
        try:
            kept = _FILE.validate_json(self._disk.read(self._metadata) or b"{}")
            roots = {int(name[5:]): text.encode() for name, text in kept.items() if _is_root(name)}
            return self._opened({n: t.encode() for n, t in kept.items()}, roots, floors)
        except (ValidationError, ValueError, UntrustedError, KeyError) as error:
            log.warning("what was believed before cannot be read: beginning anew (%s)", error)
            return Memory(self._provisioned, {}, None, floors)

    def keep(self, trusted: TrustedSet, roots: Mapping[int, bytes]) -> None:
        """Remember it: floors first."""
        self._disk.put(self._floors, trusted.floors.model_dump_json().encode())
        texts = {name: data.decode() for name, data in trusted.raw.items()}
        texts |= {f"root-{version}": data.decode() for version, data in roots.items()}
        self._disk.put(self._metadata, _FILE.dump_json(texts))

    def bad(self) -> frozenset[str]:
        """Digests that were fetched, verified, and turned out not to work here."""
        try:
            return frozenset(_DIGESTS.validate_json(self._disk.read(self._bad) or b"[]"))
        except ValidationError:
            return frozenset()

    def remember_bad(self, digest: str) -> None:
        self._disk.put(self._bad, _DIGESTS.dump_json(tuple(sorted({*self.bad(), digest}))))

    @property
    def _bad(self) -> Path:
        return self._folder / "bad.json"

    def _opened(
        self, kept: Mapping[str, bytes], roots: Mapping[int, bytes], floors: Floors
    ) -> Memory:
        if "root" not in kept:
            return Memory(self._provisioned, {}, None, floors)
        trusted = TrustedSet(kept["root"])
        trusted.load_timestamp(kept["timestamp"], None)
        trusted.load_snapshot(kept["snapshot"], None)
        trusted.load_targets(kept["targets"], None)
        for name in trusted.publishers:
            if name in kept and name not in TOP:
                trusted.load_publisher(name, kept[name], None)
        return Memory(kept["root"], roots, trusted, floors)

    def _recall_floors(self) -> Floors:
        data = self._disk.read(self._floors)
        if data is None:
            return Floors()
        try:
            return Floors.model_validate_json(data)
        except ValidationError as error:
            raise ConflictError(
                f"{self._floors} is damaged",
                "remove it on a device that you know to be sound: until the next refresh only "
                "expiry dates then protect it from old metadata",
            ) from error


def _is_root(name: str) -> bool:
    return name.startswith("root-") and name[5:].isdigit()
