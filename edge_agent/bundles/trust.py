"""Pure. Which bundles may be believed: TUF's rules over `tuf.api`, with the time as a parameter.

Does every check except reading and writing: those are in remembered and fetch. The order of the
workflow is updater's. What is believed comes in this order, each by what the one before it says:
roots, one version after another; the timestamp; the snapshot; the targets; each publisher's.

Metadata is carried in DSSE envelopes: signatures cover the very bytes, so that nothing is parsed
before it is verified. The checks are numbered; tests take each out and expect an attack to succeed.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256

from pydantic import ValidationError
from tuf.api.metadata import DelegatedRole, MetaFile, Root, Snapshot, Targets, Timestamp

from edge_agent.bundles.believed import (
    RIGHTS,
    Floor,
    Floors,
    Rights,
    Target,
    TrustedManifest,
    target,
)
from edge_agent.bundles.envelopes import (
    envelope,
    exactly,
    fresh,
    not_below,
    opened,
    parsed,
    same_version,
    signed_at,
    standing,
    vouched,
)
from protocol.bundles import Manifest, digest_key
from protocol.errors import DecodeError, RollbackError, UntrustedError

TOP = ("root", "timestamp", "snapshot", "targets")


class TrustedSet:
    """What is believed now. The mutable state is the metadata and the floors under it.

    `now` (seconds since the epoch) decides what has expired; with None nothing has: that is how
    what was believed before is opened again for serving. A set that failed half-way is thrown away.
    """

    def __init__(self, root: bytes, *, floors: Floors | None = None) -> None:
        """Begin with a root that came with the device, or was believed before."""
        self._before = floors or Floors()
        self._floors: dict[str, Floor] = {}
        self.time = 0.0
        self.raw: dict[str, bytes] = {}
        """Role -> the envelope that is believed."""
        sealed, signed = opened(root, Root)
        keys = vouched(signed, "root", sealed)
        self.root = signed
        self.timestamp: Timestamp | None = None
        self.snapshot: Snapshot | None = None
        self.targets: Targets | None = None
        self._publishers: dict[str, Targets] = {}
        self._take("root", root, signed.version, keys)

    def __repr__(self) -> str:
        versions = ", ".join(f"{role} {floor.version}" for role, floor in self._floors.items())
        return f"<TrustedSet {versions}>"

    @property
    def floors(self) -> Floors:
        """What to keep, once this set is complete."""
        roles = {**self._before.roles, **self._floors}
        return Floors(time=max(self._time_floor(), self.time), roles=roles)

    def reference(self, wall: float) -> float:
        """The time to judge by: the clock's, but never earlier than what was signed before."""
        return max(wall, self._time_floor(), self.time)

    def next_root(self, data: bytes) -> None:
        """Believe the root that follows the present one; it may have expired, the last may not."""
        # 1. Enough of the present root's keys vouch for it.
        sealed = envelope(data)
        vouched(self.root, "root", sealed)
        signed = parsed(sealed, Root)
        # 2. Enough of its own keys do.
        keys = vouched(signed, "root", sealed)
        # 3. It is the very next version.
        if signed.version != self.root.version + 1:
            raise RollbackError(f"root {signed.version} after root {self.root.version}")
        self.root = signed
        self._take("root", data, signed.version, keys)

    def last_root(self, now: float | None) -> None:
        """No newer root is to be had: this one decides."""
        # 4. It is not older than one that was believed before, though its file be lost.
        floor = self._before.roles.get("root")
        if floor is not None and self.root.version < floor.version:
            raise RollbackError(f"root {self.root.version}, it was {floor.version} before")
        # 5. It has not expired.
        fresh(self.root, "root", now)

    def load_timestamp(self, data: bytes, now: float | None) -> None:
        """Believe what the repository says is its newest state."""
        # 6. Enough of the timestamp's keys vouch for it.
        sealed = envelope(data)
        keys = vouched(self.root, "timestamp", sealed)
        signed = parsed(sealed, Timestamp)
        digest = sha256(sealed.payload).hexdigest()
        floor = self._floor("timestamp")
        # 7. It is not older than before, nor the same version with other bytes.
        if floor is not None and signed.version < floor.version:
            raise RollbackError(f"timestamp {signed.version}, it was {floor.version} before")
        if floor is not None and signed.version == floor.version and floor.digest != digest:
            raise RollbackError(f"timestamp {signed.version} is not the one that it was before")
        # 8. Nor is the snapshot that it names.
        not_below(self._floor("snapshot"), "snapshot", signed.snapshot_meta.version)
        # 9. It has not expired.
        fresh(signed, "timestamp", now)
        self.timestamp = signed
        self.time = signed_at(signed)
        self._take("timestamp", data, signed.version, keys)
        self._floors["timestamp"] = Floor(version=signed.version, keys=keys, digest=digest)

    def load_snapshot(self, data: bytes, now: float | None) -> None:
        """Believe which versions belong together."""
        assert self.timestamp is not None  # noqa: S101  # the workflow's order
        # 10. It is byte for byte the one that the timestamp names.
        exactly(self.timestamp.snapshot_meta, data, "snapshot")
        # 11. Enough of the snapshot's keys vouch for it.
        sealed = envelope(data)
        keys = vouched(self.root, "snapshot", sealed)
        signed = parsed(sealed, Snapshot)
        # 12. It has the version that the timestamp names.
        same_version(self.timestamp.snapshot_meta, signed.version, "snapshot")
        # 13. No role in it is older than before, or gone.
        self._no_role_older(signed)
        # 14. It has not expired.
        fresh(signed, "snapshot", now)
        self.snapshot = signed
        self._take("snapshot", data, signed.version, keys)

    def load_targets(self, data: bytes, now: float | None) -> None:
        """Believe who may publish what."""
        meta = self.meta("targets")
        # 15. It is byte for byte the one that the snapshot names.
        exactly(meta, data, "targets")
        # 16. Enough of the targets' keys vouch for it.
        sealed = envelope(data)
        vouched(self.root, "targets", sealed)
        signed = parsed(sealed, Targets)
        # 17. It has the version that the snapshot names.
        same_version(meta, signed.version, "targets")
        # 18. It has not expired.
        fresh(signed, "targets", now)
        self.targets = signed
        self._take("targets", data, signed.version, self._floors["snapshot"].keys)

    def load_publisher(self, name: str, data: bytes, now: float | None) -> None:
        """Believe what one publisher has published."""
        assert self.targets is not None  # noqa: S101  # the workflow's order
        meta = self.meta(name)
        # 19. It is byte for byte the one that the snapshot names.
        exactly(meta, data, name)
        # 20. Enough of the keys that the targets give this publisher vouch for it.
        sealed = envelope(data)
        vouched(self.targets, name, sealed)
        signed = parsed(sealed, Targets)
        # 21. It has the version that the snapshot names.
        same_version(meta, signed.version, name)
        # 22. It has not expired.
        fresh(signed, name, now)
        self._publishers[name] = signed
        self._take(name, data, signed.version, self._floors["snapshot"].keys)

    def meta(self, role: str) -> MetaFile:
        """What the snapshot says of a role's metadata."""
        assert self.snapshot is not None  # noqa: S101  # the workflow's order
        try:
            return self.snapshot.meta[f"{role}.json"]
        except KeyError:
            raise UntrustedError(f"the snapshot names no {role}") from None

    @property
    def publishers(self) -> Mapping[str, DelegatedRole]:
        """Whom the targets believe."""
        assert self.targets is not None  # noqa: S101  # the workflow's order
        delegations = self.targets.delegations
        return dict(delegations.roles or {}) if delegations is not None else {}

    @property
    def published(self) -> Mapping[str, Targets]:
        """What each publisher has signed, as far as it is loaded."""
        return dict(self._publishers)

    def rights(self, publisher: str) -> Rights:
        """What a publisher may publish."""
        return _rights(self.publishers[publisher])

    def expires(self, role: str) -> datetime:
        """When a role's metadata expires."""
        top = {
            "root": self.root,
            "timestamp": self.timestamp,
            "snapshot": self.snapshot,
            "targets": self.targets,
        }
        signed = top.get(role) or self._publishers[role]
        expires: datetime = signed.expires
        return expires

    def catalog(self) -> dict[str, Target]:
        """Every bundle version that is signed for, by its path."""
        return {path: made for path, made in self._said() if isinstance(made, Target)}

    def strays(self) -> dict[str, UntrustedError]:
        """What publishers sign for and may not, or cannot: passed over, by its path."""
        return {path: made for path, made in self._said() if not isinstance(made, Target)}

    def _said(self) -> Iterator[tuple[str, Target | UntrustedError]]:
        for name, role in self.publishers.items():
            signed = self._publishers.get(name)
            rights = _rights(role)
            for path, file in signed.targets.items() if signed is not None else ():
                # 23. The publisher may speak of this path.
                if not role.is_delegated_path(path):
                    yield path, UntrustedError(f"{name} may not publish {path[:100]!r}")
                    continue
                try:
                    yield path, target(path, file, rights)
                except UntrustedError as error:
                    yield path, error

    def manifest(self, signed: Target, head: bytes, manifest: bytes) -> TrustedManifest:
        """Return the manifest in the head of a bundle, or raise `UntrustedError`.

        `manifest` is the file in `head`; unpack has seen to it that there is exactly one.
        """
        # 24. This set signs for the target.
        if self.catalog().get(signed.path) != signed:
            raise UntrustedError(f"nobody signs for {signed.path[:100]!r}")
        # 25. These are its bytes.
        if len(head) != signed.size_bytes or digest_key(sha256(head).hexdigest()) != signed.digest:
            raise UntrustedError(f"{signed.path} is not what its publisher signed for")
        return accepted(signed, manifest)

    def _floor(self, role: str) -> Floor | None:
        """The floor under a top role, unless the keys that vouched for it may not any more."""
        return standing(self.root, "snapshot" if role not in TOP else role, self._before, role)

    def _time_floor(self) -> float:
        floor = standing(self.root, "timestamp", self._before, "timestamp")
        return self._before.time if floor is not None else 0.0

    def _no_role_older(self, snapshot: Snapshot) -> None:
        for role in self._before.roles:
            if role in ("root", "timestamp", "snapshot"):
                continue
            floor = standing(self.root, "snapshot", self._before, role)
            meta = snapshot.meta.get(f"{role}.json")
            not_below(floor, role, meta.version if meta is not None else 0)

    def _take(self, role: str, data: bytes, version: int, keys: tuple[str, ...]) -> None:
        self.raw[role] = data
        self._floors[role] = Floor(version=version, keys=keys)


def accepted(signed: Target, manifest: bytes) -> TrustedManifest:
    """Return a verified head's manifest as the trusted type, when it is the target's own."""
    try:
        said = Manifest.parse(manifest)
    except DecodeError as error:
        raise UntrustedError(f"{signed.path}: {error.error}") from error
    # 26. It says of itself what the path says: no other bundle, version or publisher.
    if (said.publisher, said.bundle, said.version) != (*signed.key, signed.version):
        raise UntrustedError(
            f"{signed.path} holds {said.publisher}/{said.bundle}, version {said.version}"
        )
    # 27. The publisher may publish for this task.
    if not signed.rights.permits(said.task.name):
        raise UntrustedError(f"{signed.publisher} may not publish for {said.task.name}")
    # 28. And code, where there is some.
    if any(one.format == "pt2" for one in said.variants) and not signed.rights.code:
        raise UntrustedError(
            f"{signed.publisher} may not publish code, and {signed.path} has a .pt2",
            "the operator may grant it: tiermesh bundles publisher --code",
        )
    return TrustedManifest(said)


def _rights(role: DelegatedRole) -> Rights:
    try:
        return Rights.model_validate(role.unrecognized_fields.get(RIGHTS, {"tasks": ()}))
    except ValidationError as error:
        raise UntrustedError(f"the rights of {role.name} are malformed") from error
