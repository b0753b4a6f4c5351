"""A change of a repository's metadata: what is edited, and what must be signed because of it.

Holds no file and no clock. Writing the signed result is repository's.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.dsse import SimpleEnvelope
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from cloud_core.registry.keys import Keyring
from edge_agent.bundles.believed import RIGHTS, SIGNED_AT, Channel, Rights, TargetPath
from edge_agent.bundles.trust import TOP, TrustedSet

Signable = Root | Timestamp | Snapshot | Targets


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a signature is good. Shorter notices a freeze sooner, and needs its key oftener."""

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    publisher: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=30)
    timestamp: timedelta = timedelta(days=7)

    def of(self, role: str) -> timedelta:
        return {
            "root": self.root,
            "targets": self.targets,
            "snapshot": self.snapshot,
            "timestamp": self.timestamp,
        }.get(role, self.publisher)


class Draft:
    """The metadata as it will be. Edits mark what is to be signed."""

    def __init__(
        self, root: Root, targets: Targets, snapshot: Snapshot, timestamp: Timestamp,
        publishers: Mapping[str, Targets],
    ) -> None:  # fmt: skip
        self.root = root
        self._old_root = deepcopy(root)
        self.targets = targets
        self.snapshot = snapshot
        self.timestamp = timestamp
        self.publishers = dict(publishers)
        self._edited: set[str] = set()
        self._new: set[str] = set()

    @classmethod
    def of(cls, trusted: TrustedSet) -> "Draft":
        """Begin from what is in force."""
        assert trusted.targets and trusted.snapshot and trusted.timestamp  # noqa: S101, PT018  # whole
        return cls(
            trusted.root, trusted.targets, trusted.snapshot, trusted.timestamp,
            trusted.published,
        )  # fmt: skip

    @classmethod
    def first(cls, keys: Mapping[str, Iterable[Key]], root_threshold: int) -> "Draft":
        """Begin with nothing but keys."""
        root = Root(consistent_snapshot=True)
        for role, held in keys.items():
            for key in held:
                root.add_key(key, role)
        root.roles["root"].threshold = root_threshold
        targets = Targets(delegations=Delegations({}, {}))
        snapshot = Snapshot(meta={"targets.json": MetaFile(1)})
        draft = cls(root, targets, snapshot, Timestamp(), {})
        draft.edit(*TOP)
        draft._new |= set(TOP)
        return draft

    @property
    def edited(self) -> frozenset[str]:
        return frozenset(self._edited)

    def edit(self, *roles: str) -> None:
        """Say that these are to be signed anew."""
        self._edited |= set(roles)

    def delegate(self, name: str, rights: Rights, keys: Iterable[Key]) -> None:
        """Let a publisher publish below its name."""
        delegations = self.targets.delegations or Delegations({}, {})
        self.targets.delegations = delegations
        held = list(keys)
        for key in held:
            delegations.keys[key.keyid] = key
        role = DelegatedRole(
            name, [key.keyid for key in held], 1, terminating=True, paths=[f"{name}/*/*"],
            unrecognized_fields={RIGHTS: rights.model_dump(mode="json")},
        )  # fmt: skip
        assert delegations.roles is not None  # noqa: S101  # made above
        delegations.roles[name] = role
        known = self.snapshot.meta.get(f"{name}.json")
        if name not in self.publishers:
            self.publishers[name] = Targets(version=known.version + 1 if known else 1)
            self._new.add(name)
        self.edit("targets", name)

    def revoke(self, name: str) -> None:
        """Believe nothing of a publisher any more. Its version stays known: none is used again."""
        assert self.targets.delegations is not None  # noqa: S101  # it is a publisher
        assert self.targets.delegations.roles is not None  # noqa: S101  # as above
        del self.targets.delegations.roles[name]
        self.publishers.pop(name, None)
        self.edit("targets")

    def publish(self, path: TargetPath, *, digest: str, size_bytes: int, channel: Channel) -> None:
        """Sign for a bundle version."""
        self.publishers[path.publisher].targets[str(path)] = TargetFile(
            length=size_bytes,
            hashes={"sha256": digest.removeprefix("sha256-")},
            path=str(path),
            unrecognized_fields={"custom": {"channel": channel}},
        )
        self.edit(path.publisher)

    def move(self, publisher: str, changes: Mapping[str, Channel]) -> None:
        """Move versions to other channels."""
        for path, channel in changes.items():
            target = self.publishers[publisher].targets[path]
            target.unrecognized_fields["custom"] = {"channel": channel}
        self.edit(publisher)

    def sealed(self, keys: Keyring, now: float, lifetimes: Lifetimes) -> dict[str, bytes]:
        """Sign all that was edited, and what names it; files by name, in the order of writing."""
        files: dict[str, bytes] = {}
        if "root" in self._edited:
            self._renew(self.root, "root", now, lifetimes)
            files[f"{self.root.version}.root.json"] = self._sealed_root(keys)
        for name in sorted(self._edited - {"root", "snapshot", "timestamp"}):
            signed = self.targets if name == "targets" else self.publishers[name]
            self._renew(signed, name, now, lifetimes)
            data = sealed(signed, self._signers(keys, name))
            files[f"{signed.version}.{name}.json"] = data
            self.snapshot.meta[f"{name}.json"] = MetaFile.from_data(
                signed.version, data, ["sha256"]
            )
            self.edit("snapshot")
        if "snapshot" in self._edited:
            self._renew(self.snapshot, "snapshot", now, lifetimes)
            data = sealed(self.snapshot, self._signers(keys, "snapshot"))
            version = self.snapshot.version
            files[f"{version}.snapshot.json"] = data
            self.timestamp.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
        self._renew(self.timestamp, "timestamp", now, lifetimes)
        self.timestamp.unrecognized_fields[SIGNED_AT] = int(now)
        files["timestamp.json"] = sealed(self.timestamp, self._signers(keys, "timestamp"))
        return files

    def _renew(self, signed: Signable, role: str, now: float, lifetimes: Lifetimes) -> None:
        signed.version += role not in self._new
        signed.expires = datetime.fromtimestamp(int(now), UTC) + lifetimes.of(role)

    def _sealed_root(self, keys: Keyring) -> bytes:
        """Signed by its own keys and, so that nodes can follow, by those of the root before."""
        signers: dict[str, CryptoSigner] = {}
        for root in (self._old_root, self.root) if self.root.version > 1 else (self.root,):
            role = root.roles["root"]
            for signer in keys.signers("root", role.keyids, role.threshold):
                signers[signer.public_key.keyid] = signer
        return sealed(self.root, list(signers.values()))

    def _signers(self, keys: Keyring, name: str) -> list[CryptoSigner]:
        if name in TOP:
            role = self.root.roles[name]
            return keys.signers(name, role.keyids, role.threshold)
        delegated = self.targets.get_delegated_role(name)
        return keys.signers(f"publisher-{name}", delegated.keyids, delegated.threshold)


def sealed(signed: Signable, signers: Iterable[CryptoSigner]) -> bytes:
    """Return the envelope with these signatures."""
    envelope: SimpleEnvelope[Any] = SimpleEnvelope.from_signed(signed)
    for signer in signers:
        envelope.sign(signer)
    return envelope.to_bytes()
