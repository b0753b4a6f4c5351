"""A repository's files: signed metadata and digest-named blobs in a folder, one writer at a time.

Whether the metadata may be believed is decided by the same code that nodes use. A change is in
force when its timestamp is in place: until then readers see the state before it.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

from edge_agent.bundles.disk import Disk
from edge_agent.bundles.sources import BLOBS, METADATA, located
from edge_agent.bundles.trust import TrustedSet
from protocol.bundles import digest_key
from protocol.errors import UnknownError, UntrustedError


class RegistryStore:
    """One folder."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self._disk = disk or Disk()

    def __repr__(self) -> str:
        return f"<RegistryStore {self.folder}>"

    @property
    def exists(self) -> bool:
        return self._disk.size(self._metadata("1.root.json")) is not None

    @property
    def whole(self) -> bool:
        """Whether its metadata is here to the last file that is written."""
        return self.exists and self._disk.size(self._metadata("timestamp.json")) is not None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer until the block ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def first_root(self) -> bytes:
        """The root that devices are provisioned with."""
        return self._required("1.root.json")

    def believed(self) -> TrustedSet:
        """Return the whole state, verified but for its age. Raises `UntrustedError`."""
        trusted = TrustedSet(self.first_root())
        for version in count(2):
            data = self._disk.read(self._metadata(f"{version}.root.json"))
            if data is None:
                break
            trusted.next_root(data)
        trusted.load_timestamp(self._required("timestamp.json"), None)
        assert trusted.timestamp is not None  # noqa: S101  # loaded one line above
        snapshot = trusted.timestamp.snapshot_meta.version
        trusted.load_snapshot(self._required(f"{snapshot}.snapshot.json"), None)
        trusted.load_targets(self._role(trusted, "targets"), None)
        for name in trusted.publishers:
            trusted.load_publisher(name, self._role(trusted, name), None)
        return trusted

    def put(self, files: Mapping[str, bytes]) -> None:
        """Put metadata in place, in this order: what others name before what names it."""
        for name, data in files.items():
            self._disk.put(self._metadata(name), data)

    def restore(self, files: Mapping[str, bytes], root: bytes) -> None:
        """Put metadata in place that was kept elsewhere, if this root vouches for all of it.

        Raises `UntrustedError`, and leaves the folder as it is, when it does not.
        """
        whole = {**files, "1.root.json": root}
        ordered = sorted(whole, key=lambda name: name == "timestamp.json")
        draft = RegistryStore(self.folder / "restoring", self._disk)
        shutil.rmtree(draft.folder, ignore_errors=True)
        for name in ordered:
            located(draft.folder, name)
        draft.put(whole)
        # 1. Its signatures lead to the root that this machine was given.
        draft.believed()
        self.put({name: whole[name] for name in ordered})
        shutil.rmtree(draft.folder)

    def put_blob(self, data: bytes) -> str:
        """Keep these bytes under their digest; return it."""
        digest = digest_key(sha256(data).hexdigest())
        path = self.folder / BLOBS / digest
        if self._disk.size(path) != len(data):
            self._disk.put(path, data)
        return digest

    def blob(self, digest: str) -> bytes:
        """Return a blob, verified."""
        data = self._disk.read(self.folder / BLOBS / digest)
        if data is None:
            raise UnknownError(f"{digest} is missing in {self.folder}", "publish that bundle again")
        if digest_key(sha256(data).hexdigest()) != digest:
            raise UntrustedError(f"{digest} has changed in {self.folder}", "publish it again")
        return data

    def _role(self, trusted: TrustedSet, role: str) -> bytes:
        return self._required(f"{trusted.meta(role).version}.{role}.json")

    def _required(self, name: str) -> bytes:
        data = self._disk.read(self._metadata(name))
        if data is None:
            raise UnknownError(f"{self._metadata(name)} is missing", "is this the repository?")
        return data

    def _metadata(self, name: str) -> Path:
        return self.folder / METADATA / name
