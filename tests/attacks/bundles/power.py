"""Disks that fail at a given step: by killing the process, or by losing what was not synced.

``python -m tests.attacks.bundles.power REPOSITORY NODES STEPS`` updates copies of a node, the first
killed before its first step on the disk, the next before its second, and so on.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from edge_agent.audit import Remembered
from edge_agent.bundles.disk import Disk
from edge_agent.bundles.sources import FolderSource
from edge_agent.bundles.updater import Setting, Updater
from edge_agent.clock import ManualClock
from tests.signed import EPOCH


class PowerCut(BaseException):
    """Nothing catches it."""


class FailingDisk(Disk):
    """Counts its steps, and does something before one of them."""

    def __init__(self, last: int, fail: Callable[[], None]) -> None:
        self.steps = 0
        self._last = last
        self._fail = fail

    def step(self) -> None:
        self.steps += 1
        if self.steps > self._last:
            self._fail()

    def append(self, path: Path, data: bytes) -> None:
        self.step()
        super().append(path, data[: len(data) // 2])
        self.step()
        super().append(path, data[len(data) // 2 :])

    def truncate(self, path: Path, size: int) -> None:
        self.step()
        super().truncate(path, size)

    def sync(self, path: Path) -> None:
        self.step()
        super().sync(path)

    def move(self, source: Path, target: Path) -> None:
        self.step()
        super().move(source, target)

    def sync_folder(self, folder: Path) -> None:
        self.step()
        super().sync_folder(folder)

    def remove(self, path: Path) -> None:
        self.step()
        super().remove(path)


class LossyDisk(FailingDisk):
    """On a power cut what was not synced is gone: bytes of files, and entries of folders."""

    def __init__(self, last: int) -> None:
        super().__init__(last, self._cut)
        self._bytes: dict[Path, bytes | None] = {}
        """Files that have unsynced bytes -> what is on the disk of them."""
        self._entries: list[tuple[Path, Path, bytes | None]] = []
        """Changes of folders that were not synced: folder, file, what was there."""

    def append(self, path: Path, data: bytes) -> None:
        self._bytes.setdefault(path, self.read(path))
        super().append(path, data)

    def truncate(self, path: Path, size: int) -> None:
        if not path.exists():
            self._entries.append((path.parent, path, None))
        self._bytes.setdefault(path, self.read(path))
        super().truncate(path, size)

    def sync(self, path: Path) -> None:
        super().sync(path)
        self._bytes.pop(path, None)

    def move(self, source: Path, target: Path) -> None:
        self._entries.append((target.parent, target, self.read(target)))
        if source in self._bytes:
            self._bytes[target] = self._bytes.pop(source)
        super().move(source, target)

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self._entries = [entry for entry in self._entries if entry[0] != folder]

    def remove(self, path: Path) -> None:
        self._entries.append((path.parent, path, self.read(path)))
        super().remove(path)

    def _cut(self) -> None:
        for path, data in self._bytes.items():
            _restore(path, data or b"")
        for _, path, data in reversed(self._entries):
            _restore(path, data)
        raise PowerCut


def _restore(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    elif path.parent.exists():
        path.write_bytes(data)


def node(folder: Path, repository: Path, disk: Disk | None = None) -> Updater:
    root = (repository / "metadata" / "1.root.json").read_bytes()
    source = FolderSource(repository)
    return Updater(
        Setting(
            folder=folder, root=root, sources=(source,), clock=ManualClock(epoch=EPOCH),
            wants=lambda _: True, audit=Remembered(), disk=disk or Disk(),
        )
    )  # fmt: skip


def main(repository: Path, nodes: Path, steps: int) -> None:
    """Make `nodes`/<step> of `nodes`/before, each killed before that step."""
    for step in range(steps):
        folder = nodes / str(step)
        shutil.copytree(nodes / "before", folder)
        child = os.fork()
        if child == 0:
            kill = FailingDisk(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
            asyncio.run(node(folder, repository, kill).update())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        sys.stdout.write(f"{step} {ended}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
