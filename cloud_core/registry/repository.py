"""The bundles of a mesh as a TUF repository: made, published into, promoted, rolled back, renewed.

What may follow what is catalog's, what must be signed is draft's, files are store's. Which keys
are at hand decides what can be done: publishing needs a publisher's, snapshot's and timestamp's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloud_core.registry import catalog
from cloud_core.registry.draft import Draft, Lifetimes
from cloud_core.registry.keys import Keyring
from cloud_core.registry.packing import Packed, has_code, manifest_in, packed
from cloud_core.registry.store import RegistryStore
from edge_agent.audit import Audit, Logged
from edge_agent.bundles import unpack
from edge_agent.bundles.believed import RIGHTS, Rights, Target, TargetPath
from edge_agent.bundles.trust import TOP, TrustedSet
from protocol.bundles import MANIFEST, Manifest
from protocol.errors import ConflictError, ForbiddenError, MeshError, UnknownError
from protocol.names import check_name

RENEW_SHARE = 0.5
"""A signature is renewed when less than this share of its lifetime is left."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a bundle."""

    target: Target
    manifest: Manifest
    new: bool
    """False: this very content was published before."""


class Repository:
    """One repository, and the keys at hand. `now` tells the seconds since the epoch."""

    def __init__(
        self, store: RegistryStore, keys: Keyring, now: Callable[[], float],
        *, audit: Audit | None = None, lifetimes: Lifetimes | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self._keys = keys
        self._now = now
        self._audit = audit or Logged()
        self._lifetimes = lifetimes or Lifetimes()

    def create(self, *, roots: int = 1, threshold: int = 1, encrypt_roots: bool = False) -> None:
        """Make an empty repository with new keys. Raises `ConflictError` when there is one."""
        if not 1 <= threshold <= roots:
            raise ConflictError(f"{threshold} of {roots} root keys cannot be", "give fewer")
        with self.store.writing():
            if self.store.exists:
                raise ConflictError(f"{self.store.folder} is a repository already")
            made = {
                role: [self._keys.make(role) for _ in range(1)] for role in TOP if role != "root"
            }
            root = [self._keys.make("root", encrypted=encrypt_roots) for _ in range(roots)]
            self._write(Draft.first({"root": root, **made}, threshold))
        self._audit.record("keys-created", repository=str(self.store.folder), roots=roots)

    def believed(self) -> TrustedSet:
        return self.store.believed()

    def targets(self) -> list[Target]:
        """Every version of every bundle."""
        return list(self.believed().catalog().values())

    def add_publisher(self, name: str, rights: Rights) -> None:
        """Let somebody publish, with a key made here; a known one gets these rights instead."""
        check_name(name, "publisher")
        if name in TOP:
            raise ConflictError(f"{name} is a role of the repository", "take another name")
        with self.store.writing():
            trusted = self.believed()
            known = trusted.publishers.get(name)
            draft = Draft.of(trusted)
            if known is None:
                draft.delegate(name, rights, [self._keys.make(f"publisher-{name}")])
            else:
                draft.delegate(name, rights, [draft.targets.get_key(k) for k in known.keyids])
            self._write(draft)
        self._audit.record(
            "publisher-added", publisher=name, code=rights.code, tasks=" ".join(rights.tasks)
        )

    def revoked(self, name: str) -> bool:
        """Whether it was a publisher and is none any more."""
        return _revoked(self.believed(), name)

    def revoke_publisher(self, name: str) -> None:
        """Believe nothing of a publisher any more; nodes switch its bundles out."""
        with self.store.writing():
            trusted = self.believed()
            if name not in trusted.publishers:
                raise UnknownError(f"no publisher {name}", "see: tiermesh bundles publishers")
            draft = Draft.of(trusted)
            draft.revoke(name)
            self._write(draft)
        self._audit.record("publisher-revoked", publisher=name)

    def publish(self, folder: Path, *, publisher: str, promote: bool = False) -> Published:
        """Sign for a bundle. Its version is raised where its own is taken by another content."""
        with self.store.writing():
            trusted = self.believed()
            known = catalog.versions(
                trusted.catalog().values(), publisher, manifest_in(folder).bundle
            )
            same = self._same(folder, publisher, known)
            if same is not None:
                return self._republished(trusted, known, same, promote=promote)
            version = catalog.next_version(known, manifest_in(folder).version)
            made = packed(folder, publisher=publisher, version=version)
            _permitted(trusted, publisher, made.manifest)
            return self._signed_for(trusted, known, made, promote=promote)

    def promote(self, bundle: str, *, publisher: str | None, version: int | None) -> Target:
        """Make a version the one that nodes install; return it."""
        return self._moved("bundle-promoted", bundle, publisher, version)

    def rollback(self, bundle: str, *, publisher: str | None, version: int | None) -> Target:
        """Withdraw what is current; return what is current instead."""
        return self._moved("bundle-rolled-back", bundle, publisher, version)

    def renew(self) -> tuple[str, ...]:
        """Sign anew what expires before long, as far as its keys are here; return the roles."""
        with self.store.writing():
            trusted = self.believed()
            due = [role for role, share in self.left(trusted).items() if share < RENEW_SHARE]
            able = [role for role in due if self._able(trusted, role)]
            if not able:
                return ()
            draft = Draft.of(trusted)
            draft.edit(*able)
            self._write(draft)
        return tuple(able)

    def rotate(self, role: str) -> None:
        """Replace the keys of a role: of a top one, or of a publisher."""
        with self.store.writing():
            trusted = self.believed()
            draft = Draft.of(trusted)
            if role in TOP:
                old = list(draft.root.roles[role].keyids)
                self._rotate_top(draft, role, old)
            else:
                known = trusted.publishers.get(role)
                if known is None:
                    raise UnknownError(f"no role and no publisher {role}", f"of {', '.join(TOP)}")
                rights = Rights.model_validate(known.unrecognized_fields[RIGHTS])
                old = list(known.keyids)
                draft.delegate(role, rights, [self._keys.make(f"publisher-{role}")])
            self._write(draft)
            for key_id in old:  # they may sign nothing any more
                self._keys.remove(role if role in TOP else f"publisher-{role}", key_id)
        self._audit.record("keys-rotated", role=role)

    def left(self, trusted: TrustedSet) -> dict[str, float]:
        """Role -> the share of its signature's lifetime that is left."""
        shares = {}
        for role in trusted.raw:
            expires = trusted.expires(role)
            left = expires - datetime.fromtimestamp(self._now(), UTC)
            shares[role] = left / self._lifetimes.of(role)
        return shares

    def manifest(self, target: Target) -> Manifest:
        """Return what a version consists of."""
        files = unpack.head(self.store.blob(target.digest))
        return Manifest.parse(files[MANIFEST])

    def _same(self, folder: Path, publisher: str, known: list[Target]) -> Target | None:
        if not known:
            return None
        again = packed(folder, publisher=publisher, version=known[-1].version)
        digest = self.store.put_blob(again.head)
        return known[-1] if digest == known[-1].digest else None

    def _republished(
        self, trusted: TrustedSet, known: list[Target], same: Target, *, promote: bool
    ) -> Published:
        if promote and same.channel == "candidate":
            draft = Draft.of(trusted)
            draft.move(same.publisher, catalog.promoted(known, same.version))
            self._write(draft)
        now = self.believed().catalog()[same.path]
        return Published(now, self.manifest(now), new=False)

    def _signed_for(
        self, trusted: TrustedSet, known: list[Target], made: Packed, *, promote: bool
    ) -> Published:
        manifest = made.manifest
        for file in made.variants.values():
            self.store.put_blob(file.read_bytes())
        digest = self.store.put_blob(made.head)
        path = TargetPath(
            publisher=manifest.publisher or "", bundle=manifest.bundle, version=manifest.version
        )
        channel = "current" if promote else catalog.channel(known)
        draft = Draft.of(trusted)
        draft.publish(path, digest=digest, size_bytes=len(made.head), channel=channel)
        self._write(draft)
        self._audit.record("bundle-published", path=str(path), digest=digest, channel=channel)
        return Published(self.believed().catalog()[str(path)], manifest, new=True)

    def _moved(self, kind: str, bundle: str, publisher: str | None, version: int | None) -> Target:
        with self.store.writing():
            trusted = self.believed()
            targets = trusted.catalog().values()
            owner = publisher or catalog.publisher_of(targets, bundle)
            known = catalog.versions(targets, owner, bundle)
            move = catalog.promoted if kind == "bundle-promoted" else catalog.rolled_back
            draft = Draft.of(trusted)
            draft.move(owner, move(known, version))
            self._write(draft)
            now = catalog.current(
                catalog.versions(self.believed().catalog().values(), owner, bundle)
            )
        assert now is not None  # noqa: S101  # catalog leaves one
        self._audit.record(kind, path=now.path, digest=now.digest)
        return now

    def _able(self, trusted: TrustedSet, role: str) -> bool:
        if role in TOP:
            known = trusted.root.roles[role]
            return self._keys.holds(role, known.keyids, known.threshold)
        delegated = trusted.publishers[role]
        return self._keys.holds(f"publisher-{role}", delegated.keyids, delegated.threshold)

    def _rotate_top(self, draft: Draft, role: str, old: list[str]) -> None:
        made = [self._keys.make(role, encrypted=role == "root" and self._keys.locked) for _ in old]
        for key_id in old:
            draft.root.revoke_key(key_id, role)
        for key in made:
            draft.root.add_key(key, role)
        draft.edit("root", role)

    def _write(self, draft: Draft) -> None:
        self.store.put(draft.sealed(self._keys, self._now(), self._lifetimes))


def _revoked(trusted: TrustedSet, name: str) -> bool:
    """The snapshot goes on naming who ever published, so that no version is used twice."""
    assert trusted.snapshot is not None  # noqa: S101  # whole
    return name not in trusted.publishers and f"{name}.json" in trusted.snapshot.meta


def _permitted(trusted: TrustedSet, publisher: str, manifest: Manifest) -> None:
    """Nodes would refuse it; better to say so here."""
    if _revoked(trusted, publisher):
        raise ForbiddenError(
            f"the publisher {publisher} was revoked",
            "give another with --publisher; only `tiermesh bundles publisher NAME` lets it again",
        )
    if publisher not in trusted.publishers:
        raise UnknownError(f"no publisher {publisher}", "tiermesh bundles publisher NAME adds one")
    rights = trusted.rights(publisher)
    if has_code(manifest) and not rights.code:
        raise ForbiddenError(
            f"{publisher} may not publish code, and {manifest.bundle} has a .pt2",
            f"grant it: tiermesh bundles publisher {publisher} --code",
        )
    if not rights.permits(manifest.task.name):
        raise ForbiddenError(f"{publisher} may not publish for {manifest.task.name}")


def spoiled(repository: Repository, targets: Iterable[Target]) -> dict[str, MeshError]:
    """Target path -> why its bytes are not what was signed for."""
    found: dict[str, MeshError] = {}
    for target in targets:
        try:
            for variant in repository.manifest(target).variants:
                repository.store.blob(variant.digest)
        except MeshError as error:
            found[target.path] = error
    return found
