"""What attackers do: serve other files, forge metadata with the keys that they have or have not."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from cloud_core.registry.draft import Draft, Lifetimes, sealed
from cloud_core.registry.keys import Keyring
from cloud_core.registry.repository import Repository
from edge_agent.bundles.sources import FolderSource, Piece
from edge_agent.bundles.updater import Updater
from protocol.errors import UnknownError

STRANGER = CryptoSigner.generate_ed25519()


class Hostile:
    """A mirror that hands out a repository's files, except for those that it has changed."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, bytes] = {}
        self.missing: set[str] = set()
        self._honest = FolderSource(folder)

    async def read(self, name: str, offset: int, length: int) -> Piece:
        if name in self.missing:
            raise UnknownError(name)
        if name not in self.files:
            return await self._honest.read(name, offset, length)
        data = self.files[name]
        return Piece(len(data), offset, data[offset : offset + length])


class Thief(Draft):
    """Has every key but those of `forged`, for which a stranger's must do."""

    forged: frozenset[str] = frozenset()

    def _signers(self, keys: Keyring, name: str) -> list[CryptoSigner]:
        return [STRANGER] if name in self.forged else super()._signers(keys, name)

    def _sealed_root(self, keys: Keyring) -> bytes:
        return (
            sealed(self.root, [STRANGER]) if "root" in self.forged else super()._sealed_root(keys)
        )


def stolen(repository: Repository, *forged: str) -> Thief:
    """A draft of an attacker who has all keys but these."""
    draft = Thief.of(repository.believed())
    draft.forged = frozenset(forged)
    return draft


def written(
    repository: Repository, draft: Draft, now: float, lifetimes: Lifetimes | None = None
) -> dict[str, bytes]:
    """What the attacker's draft would be, as files."""
    return draft.sealed(repository._keys, now, lifetimes or Lifetimes())  # noqa: SLF001  # stolen


def snapshot_of(repository: Repository) -> dict[str, bytes]:
    """Every file of a repository as it is now: for handing out later."""
    folders = (repository.store.folder / name for name in ("metadata", "blobs"))
    return {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}


def resigned(data: bytes, change: Callable[[list[dict]], Iterable[dict]]) -> bytes:
    """An envelope with its signatures changed."""
    envelope = json.loads(data)
    envelope["signatures"] = list(change(envelope["signatures"]))
    return json.dumps(envelope).encode()


def believed(updater: Updater) -> dict[str, int]:
    """Role -> version that a node believes."""
    trusted = updater.trusted
    return {} if trusted is None else {n: f.version for n, f in trusted.floors.roles.items()}


def refusals(updater: Updater) -> str:
    """What it has refused, and why, in one text."""
    entries = updater._setting.audit.entries  # noqa: SLF001  # what a test's node remembers
    return "\n".join(fields["error"] for kind, fields in entries if kind == "trust-refused")
