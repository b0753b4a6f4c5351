"""What a gate needs of the router and the view behind it: no more, so that tests can stand in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from middle_tier.scheduler.types import Demand, Plan, Policy
from protocol.adverts import NodeStatus, SiteCapacity, VariantInfo
from protocol.bundles import Task
from protocol.codec import Bytes
from protocol.messages import Answer, Query


class SiteSeen(Protocol):
    """A site as its parent sees it."""

    @property
    def summary(self) -> SiteCapacity: ...

    @property
    def health(self) -> str: ...

    @property
    def silent_s(self) -> float: ...


class Seeing(Protocol):
    """A view of tasks, variants and nodes."""

    @property
    def tasks(self) -> Mapping[str, Task]: ...

    def variants(self, task: str) -> tuple[VariantInfo, ...]: ...

    def nodes(self, now: float) -> tuple[NodeStatus, ...]: ...

    def sites(self, now: float) -> Sequence[SiteSeen]: ...


class Answering(Protocol):
    """A router."""

    @property
    def view(self) -> Seeing: ...

    @property
    def policy(self) -> Policy: ...

    async def answer(
        self, query: Query, buffers: tuple[Bytes, ...]
    ) -> tuple[Answer, tuple[Bytes, ...]]: ...

    def demand(self, query: Query) -> Demand: ...

    def plan(self, demand: Demand) -> Plan:
        """Return the explained plan."""
        ...
