"""The audit log as a file: appended to under a lock, on the disk before anybody goes on.

Several processes may write one file. How entries are bound together is `chain`'s.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud_core.audit.chain import Checked, Entry, Head, linked, parsed, verified
from edge_agent.audit import Plain
from edge_agent.clock import Clock

TAIL_BYTES = 64 << 10
"""Longest entry there can be: what is read to find the last one."""


class AuditLog:
    """One file. Holds nothing in memory, so that what another process wrote is seen."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    def __repr__(self) -> str:
        return f"<AuditLog {self.path}>"

    def record(self, kind: str, /, **fields: Plain) -> None:
        """Append an entry; on return it is on the disk."""
        with self._locked() as descriptor:
            head, torn = _last(descriptor)
            entries = [linked(head, self._clock.wall(), kind, fields)]
            if torn:  # the power went while it was written: nobody had been told that it is kept
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
                mended = linked(head, self._clock.wall(), "audit-mended", {"bytes_dropped": torn})
                entries = [mended, linked(mended.head, self._clock.wall(), kind, fields)]
            data = "".join(entry.line() for entry in entries).encode()
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)

    def read(self, after: int = 0, limit: int | None = None) -> list[Entry]:
        """Entries with a number above `after`, oldest first."""
        found: list[Entry] = []
        for line in self.lines():
            entry = parsed(line)
            if entry.n > after:
                found.append(entry)
            if limit is not None and len(found) >= limit:
                break
        return found

    def verify(self, known: Head | None = None) -> Checked:
        """Whether the whole chain holds, `known` in it."""
        return verified(self.lines(), known=known)

    def lines(self) -> Iterator[str]:
        """Every line that is whole, oldest first, as it stands there."""
        if not self.path.exists():
            return
        with self.path.open() as file:
            for line in file:
                if line.endswith("\n"):  # else it is being written, or was torn
                    yield line

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(self.path.parent)


def _last(descriptor: int) -> tuple[Head, int]:
    """The head, and how many bytes of a torn line come after it."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    whole, _, torn = data.rpartition(b"\n")
    if not whole:
        return Head(), len(torn)
    return parsed(whole.rpartition(b"\n")[2].decode()).head, len(torn)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
