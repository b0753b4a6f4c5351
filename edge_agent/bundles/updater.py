"""Refresh, fetch, verify, try, switch in: the workflow, in that order. Each check is elsewhere.

Wherever it is interrupted, the next run finds whole files, goes on with the half ones, and what is
switched in was verified and tried. Stale metadata stops installing, never serving.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from edge_agent.audit import Audit, Logged
from edge_agent.bundles.believed import Target
from edge_agent.bundles.depot import Depot
from edge_agent.bundles.disk import Disk
from edge_agent.bundles.fetch import Limits, fetch
from edge_agent.bundles.installed import Installed, Version
from edge_agent.bundles.opened import Bundle, opened
from edge_agent.bundles.refresh import Refresh, Refreshed
from edge_agent.bundles.remembered import Remembered
from edge_agent.bundles.sources import Source
from edge_agent.bundles.store import Store
from edge_agent.bundles.trust import TrustedSet
from edge_agent.clock import Clock
from protocol.bundles import Variant
from protocol.errors import ConflictError, MeshError, UnreachableError, UntrustedError

log = logging.getLogger(__name__)


Wants = Callable[[Variant], bool]
"""Whether this node has a use for a variant."""
Trial = Callable[[Bundle, Variant, bytes], None]
"""Run a variant's verified bytes against its golden outputs; raises `UntrustedError`."""


def untried(_bundle: Bundle, _variant: Variant, _data: bytes) -> None:
    """For a mirror without a node: whoever loads it tries it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What an updater works with."""

    folder: Path
    root: bytes
    """The root that this node was provisioned with."""
    sources: Sequence[Source]
    clock: Clock
    wants: Wants
    trial: Trial = untried
    audit: Audit = field(default_factory=Logged)
    limits: Limits = field(default_factory=Limits)
    disk: Disk = field(default_factory=Disk)


WITHHELD = 10
"""Updates that did not bring all bytes, before others hear of the metadata nevertheless."""


class Outcome(NamedTuple):
    """What became of an update."""

    changed: bool
    """Something was switched."""
    whole: bool
    """All that is wanted is here; else it may come, and is worth another look soon."""


class Updater:
    """The bundles of one node or mirror."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        folder, disk = setting.folder, setting.disk
        self.depot = Depot(folder / "blobs", disk)
        self._installed = Installed(folder / "installed", disk)
        self._remembered = Remembered(folder / "trust", disk, setting.root)
        self._memory = self._remembered.recall()
        self._bad = self._remembered.bad()
        self._told = self._memory
        self._withheld = 0
        self._refusals: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Updater {self._setting.folder} | {self._memory.trusted!r}>"

    @property
    def trusted(self) -> TrustedSet | None:
        """What was believed last."""
        return self._memory.trusted

    def metadata(self, name: str) -> bytes | None:
        """A metadata file as others ask for it: what is believed, once its bytes are here."""
        version, _, rest = name.removesuffix(".json").partition(".")
        if rest == "root" and version.isdigit():
            return self._told.roots.get(int(version))
        trusted = self._told.trusted
        role = rest or version
        if trusted is None or role not in trusted.raw or role == "root":
            return None
        if role == "timestamp":
            return trusted.raw[role] if not rest else None
        return trusted.raw[role] if version == str(trusted.floors.roles[role].version) else None

    def told(self) -> dict[str, bytes]:
        """Every metadata file that others may hear of, by the name that they ask for."""
        trusted = self._told.trusted
        files = {f"{version}.root.json": data for version, data in self._told.roots.items()}
        for role, data in (trusted.raw if trusted is not None else {}).items():
            version = trusted.floors.roles[role].version if trusted is not None else 0
            if role != "root":
                files[f"{role}.json" if role == "timestamp" else f"{version}.{role}.json"] = data
        return files

    def store(self) -> Store:
        """Everything that is switched in and signed for; of a spoiled version, the previous."""
        store = Store()
        for switch in self._installed.all().values():
            for version in filter(None, (switch.current, switch.previous)):
                try:
                    store.take(self._bundle(version), self.depot)
                except (UntrustedError, ConflictError) as error:
                    self._refused(version.path, error)
                else:
                    break
        return store

    async def update(self) -> Outcome:
        """Refresh, and install what is wanted.

        Raises `UnreachableError` when no source could be asked.
        """
        refreshed = await self._refresh()
        if refreshed is None:
            return Outcome(changed=False, whole=True)
        catalog = refreshed.trusted.catalog()
        changed = await asyncio.to_thread(self._withdrawn, catalog)
        whole = True
        for target in chosen(catalog.values(), refreshed.stale):
            try:
                changed |= await self._install(refreshed.trusted, target)
            except UntrustedError as error:
                self._refused(target.path, error)
            except MeshError as error:
                log.info("%s is not here yet: %s", target.path, error)
                whole = False
        await asyncio.to_thread(self._tidy, catalog)
        self._tell(whole=whole)
        return Outcome(changed, whole)

    def _tell(self, *, whole: bool) -> None:
        """Let others hear of it, with all its bytes or, when those stay away, without."""
        self._withheld = 0 if whole else self._withheld + 1
        if whole or self._withheld >= WITHHELD:
            self._told = self._memory

    async def _refresh(self) -> Refreshed | None:
        """What the sources say now; None when none of it may be believed now."""
        latest: Refreshed | None = None
        unreachable: MeshError | None = None
        for source in self._setting.sources:
            refresh = Refresh(source, self._memory, self._setting.clock, self._setting.limits)
            try:
                latest = await refresh.run()
            except UntrustedError as error:
                self._refused(repr(source), error)
            except MeshError as error:
                unreachable = error
                log.debug("no metadata from %r: %s", source, error)
            else:
                self._refusals.pop(repr(source), None)
                await self._believe(latest)
        if latest is None and unreachable is not None:
            raise UnreachableError(f"no metadata: {unreachable.error}") from unreachable
        return latest

    async def _believe(self, refreshed: Refreshed) -> None:
        before, self._memory = self._memory, refreshed.memory
        if before.trusted is None or before.trusted.raw != refreshed.trusted.raw:
            for path, error in refreshed.trusted.strays().items():
                self._refused(path, error)
            await asyncio.to_thread(
                self._remembered.keep, refreshed.trusted, refreshed.memory.roots
            )

    async def _install(self, trusted: TrustedSet, target: Target) -> bool:
        """Have it whole, verified and tried, then switch it in; whether that changed anything."""
        # 1. It did not turn out bad before.
        if target.digest in self._bad:
            return False
        await self._fetch(target.digest, target.size_bytes)
        bundle = await asyncio.to_thread(opened, trusted, target, self.depot)
        wanted = [one for one in bundle.manifest.variants if self._setting.wants(one)]
        missing = [one for one in wanted if not self.depot.has(one.digest)]
        for variant in missing:
            await self._fetch(variant.digest, variant.size_bytes)
        present = self._installed.all().get(target.key)
        same = present is not None and present.current.digest == target.digest
        if same and not missing:
            return False
        await asyncio.to_thread(self._try, bundle, wanted)
        await asyncio.to_thread(self._installed.switch, target)
        self._setting.audit.record("bundle-installed", path=target.path, digest=target.digest)
        return True

    def _try(self, bundle: Bundle, wanted: Iterable[Variant]) -> None:
        """Run each against its golden outputs, from the bytes that were verified."""
        for variant in wanted:
            data = self.depot.read(variant.digest)
            try:
                self._setting.trial(bundle, variant, data)
            except UntrustedError:
                self._remembered.remember_bad(bundle.target.digest)
                self._bad |= {bundle.target.digest}
                raise

    async def _fetch(self, digest: str, size_bytes: int) -> None:
        """From the first source that gives it."""
        setting = self._setting
        last: MeshError = UnreachableError(f"no source for {digest}")
        for source in setting.sources:
            try:
                return await fetch(
                    source, self.depot, setting.clock,
                    digest=digest, size_bytes=size_bytes, limits=setting.limits,
                )  # fmt: skip
            except MeshError as error:
                last = error
                log.debug("%s not from %r: %s", digest, source, error)
        raise last

    def _bundle(self, version: Version) -> Bundle:
        """A version that is switched in, verified as when it was installed, but for its age."""
        trusted = self._memory.trusted
        target = trusted.catalog().get(version.path) if trusted is not None else None
        # 2. Somebody signs for what is switched in.
        if trusted is None or target is None or target.digest != version.digest:
            raise UntrustedError(f"nobody signs for {version.path}")
        return opened(trusted, target, self.depot)

    def _withdrawn(self, catalog: Mapping[str, Target]) -> bool:
        """Switch out what nobody signs for any more: removed, or its publisher revoked."""
        signed = {target.key for target in catalog.values()}
        gone = [key for key in self._installed.all() if key not in signed]
        for key in gone:
            self._installed.remove(key)
            self._setting.audit.record("bundle-revoked", publisher=key[0], bundle=key[1])
        return bool(gone)

    def _tidy(self, catalog: Mapping[str, Target]) -> None:
        """Remove the bytes of what is neither switched in, nor the one before, nor on its way."""
        keep: set[str] = set()
        for switch in self._installed.all().values():
            for version in filter(None, (switch.current, switch.previous)):
                keep |= self._blobs(catalog.get(version.path))
        for target in chosen(catalog.values(), frozenset()):
            keep |= self._blobs(target)
        self.depot.keep_only(keep)

    def _blobs(self, target: Target | None) -> frozenset[str]:
        trusted = self._memory.trusted
        if target is None or trusted is None:
            return frozenset()
        try:
            bundle = opened(trusted, target, self.depot)
        except UntrustedError:  # its head is not here yet
            return frozenset({target.digest})
        return bundle.blobs(bundle.manifest.variants)

    def _refused(self, what: str, error: MeshError) -> None:
        """Say so once: a mirror that is stale is asked every few seconds."""
        if self._refusals.get(what) == error.error:
            return
        self._refusals[what] = error.error
        log.warning("refused %s: %s", what, error)
        self._setting.audit.record(
            "trust-refused", what=what, reason=error.reason, error=error.error
        )


def chosen(targets: Iterable[Target], stale: frozenset[str]) -> tuple[Target, ...]:
    """Pure. Return the newest current version of each bundle, unless its publisher is stale."""
    newest: dict[tuple[str, str], Target] = {}
    for target in targets:
        known = newest.get(target.key)
        if target.channel == "current" and (known is None or target.version > known.version):
            newest[target.key] = target
    return tuple(newest[key] for key in sorted(newest) if key[0] not in stale)
