"""The few things that bundles do to a disk, each durable when it returns. Tests put a lossy one in.

A file that was written but not synced, or put in its place in a folder that was not, may be gone
after a power cut. So every write here is synced, then its folder.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


class Disk:
    """The machine's own."""

    def read(self, path: Path) -> bytes | None:
        """Return the file's bytes; None when there is none."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def read_range(self, path: Path, offset: int, length: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None

    def put(self, path: Path, data: bytes) -> None:
        """Put all of `data` at `path` or, when the power fails, leave what was there."""
        draft = path.with_name(f".{path.name}.draft")
        self.truncate(draft, 0)
        self.append(draft, data)
        self.sync(draft)
        self.move(draft, path)

    def append(self, path: Path, data: bytes) -> None:
        """Write at the end; not durable before `sync`."""
        with path.open("ab") as file:
            file.write(data)

    def truncate(self, path: Path, size: int) -> None:
        """Make the file so long; it and its folders are made when missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.truncate(size)

    def sync(self, path: Path) -> None:
        """Return when the file's bytes are on the disk."""
        self._sync(path, os.O_RDONLY)

    def move(self, source: Path, target: Path) -> None:
        """Put a synced file in its place, in place of another; return when that is durable."""
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        self.sync_folder(target.parent)

    def sync_folder(self, folder: Path) -> None:
        self._sync(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))

    def remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            path.unlink()

    def names(self, folder: Path) -> Iterable[str]:
        """The files in a folder; none when it is missing."""
        try:
            return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
        except FileNotFoundError:
            return ()

    def _sync(self, path: Path, flags: int) -> None:
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
