"""Bundle bytes on disk, in files named by their digest; what is half here is kept apart.

A file gets its name only when its bytes have been hashed to it. Whether they are wanted is not
decided here.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from edge_agent.bundles.disk import Disk
from protocol.bundles import digest_key
from protocol.codec import Bytes
from protocol.errors import UntrustedError

HASHED_BYTES = 1 << 20
"""Read at once when what is half here is hashed again."""


class Depot:
    """One folder of blobs. Its methods block: call them from a thread where somebody waits."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk

    def __repr__(self) -> str:
        return f"<Depot {self._folder}>"

    def path(self, digest: str) -> Path:
        return self._folder / digest

    def has(self, digest: str) -> bool:
        return self._disk.size(self.path(digest)) is not None

    def read(self, digest: str) -> bytes:
        """Return the blob's bytes, verified now. Raises `UntrustedError`.

        A file that is not what its name says is removed: it is fetched again when it is wanted.
        """
        data = self._disk.read(self.path(digest))
        if data is None:
            raise UntrustedError(f"{digest} is not here")
        if digest_key(sha256(data).hexdigest()) != digest:
            self._disk.remove(self.path(digest))
            raise UntrustedError(f"{digest} has changed on the disk")
        return data

    def begin(self, digest: str, size_bytes: int) -> "Arrival":
        """Go on with what is half here, or begin."""
        path = self._folder / "arriving" / digest
        there = self._disk.size(path) or 0
        if there == 0 or there > size_bytes:
            self._disk.truncate(path, 0)
            there = 0
        arrival = Arrival(self, self._disk, path, digest)
        for offset in range(0, there, HASHED_BYTES):
            arrival.hash(self._disk.read_range(path, offset, min(HASHED_BYTES, there - offset)))
        return arrival

    def keep_only(self, digests: Iterable[str]) -> None:
        """Remove every blob but these, and what is half here of others."""
        keep = set(digests)
        for folder in (self._folder, self._folder / "arriving"):
            for name in self._disk.names(folder):
                if name not in keep:
                    self._disk.remove(folder / name)


class Arrival:
    """A blob on its way in: what has come is hashed as it comes."""

    def __init__(self, depot: Depot, disk: Disk, path: Path, digest: str) -> None:
        self.size_bytes = 0
        self._depot = depot
        self._disk = disk
        self._path = path
        self._digest = digest
        self._hash = sha256()

    def hash(self, data: Bytes) -> None:
        """Count bytes that are in the file already."""
        self._hash.update(data)
        self.size_bytes += len(data)

    def take(self, data: Bytes) -> None:
        """Append what has come."""
        self._disk.append(self._path, bytes(data))
        self.hash(data)

    def finish(self) -> None:
        """Give the file its name, if it is what the name says; else remove it and raise."""
        # 1. The bytes hash to the digest that was asked for.
        if digest_key(self._hash.hexdigest()) != self._digest:
            self.drop()
            raise UntrustedError(f"what came for {self._digest} is something else")
        self._disk.sync(self._path)
        self._disk.move(self._path, self._depot.path(self._digest))

    def drop(self) -> None:
        """Keep nothing of it."""
        self._disk.remove(self._path)
