"""One refresh of metadata from one source: which file is asked for next. Trust decides on each."""

from dataclasses import dataclass

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import MetaFile

from edge_agent.bundles.fetch import Limits, metadata
from edge_agent.bundles.remembered import Memory
from edge_agent.bundles.sources import Source
from edge_agent.bundles.trust import TrustedSet
from edge_agent.clock import Clock
from protocol.errors import StaleError, UnknownError

ROOT_BYTES, TIMESTAMP_BYTES = 512 << 10, 64 << 10
SNAPSHOT_BYTES, TARGETS_BYTES = 8 << 20, 32 << 20
ROOTS = 256
"""New roots taken at once."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What is believed after it."""

    memory: Memory
    trusted: TrustedSet
    stale: frozenset[str]
    """Publishers whose metadata has expired: theirs is served, and nothing of it installed."""


class Refresh:
    """One run; raises `MeshError`, and then nothing has changed."""

    def __init__(self, source: Source, memory: Memory, clock: Clock, limits: Limits) -> None:
        self._source = source
        self._memory = memory
        self._clock = clock
        self._limits = limits
        self._trusted = TrustedSet(memory.root, floors=memory.floors)
        self._roots = dict(memory.roots)

    async def run(self) -> Refreshed:
        await self._root()
        await self._timestamp()
        await self._snapshot()
        await self._targets()
        stale = {name for name in self._trusted.publishers if not await self._publisher(name)}
        trusted = self._trusted
        memory = Memory(trusted.raw["root"], self._roots, trusted, trusted.floors)
        return Refreshed(memory, trusted, frozenset(stale))

    @property
    def _now(self) -> float:
        return self._trusted.reference(self._clock.wall())

    async def _root(self) -> None:
        for _ in range(ROOTS):
            version = self._trusted.root.version + 1
            try:
                data = await self._fetched(f"{version}.root.json", ROOT_BYTES)
            except UnknownError:
                break
            self._trusted.next_root(data)
            self._roots[version] = data
        self._trusted.last_root(self._now)

    async def _timestamp(self) -> None:
        data = await self._fetched("timestamp.json", TIMESTAMP_BYTES)
        self._trusted.load_timestamp(data, self._now)

    async def _snapshot(self) -> None:
        assert self._trusted.timestamp is not None  # noqa: S101  # loaded before
        meta = self._trusted.timestamp.snapshot_meta
        self._trusted.load_snapshot(await self._role("snapshot", meta, SNAPSHOT_BYTES), self._now)

    async def _targets(self) -> None:
        meta = self._trusted.meta("targets")
        self._trusted.load_targets(await self._role("targets", meta, TARGETS_BYTES), self._now)

    async def _publisher(self, name: str) -> bool:
        """Whether what it publishes may be installed."""
        data = await self._role(name, self._trusted.meta(name), TARGETS_BYTES)
        try:
            self._trusted.load_publisher(name, data, self._now)
        except StaleError:
            self._trusted.load_publisher(name, data, None)
            return False
        return True

    async def _role(self, role: str, meta: MetaFile, at_most: int) -> bytes:
        """The bytes that `meta` means: those at hand, when they are; else the source's."""
        before = self._memory.trusted
        data = before.raw.get(role) if before is not None else None
        if data is not None and _is(meta, data):
            return data
        limit = min(at_most, meta.length) if meta.length is not None else at_most
        return await self._fetched(f"{meta.version}.{role}.json", limit)

    async def _fetched(self, name: str, at_most: int) -> bytes:
        return await metadata(self._source, name, self._clock, at_most=at_most, limits=self._limits)


def _is(meta: MetaFile, data: bytes) -> bool:
    try:
        meta.verify_length_and_hashes(data)
    except RepositoryError:
        return False
    return True
