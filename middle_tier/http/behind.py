"""What a gate needs of the router and the view behind it: no more, so that tests can stand in."""

import asyncio
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


Outcome = asyncio.Future[tuple[Answer, tuple[Bytes, ...]]]
"""Gets an answer and its tensors, or the `MeshError` that says why there is none."""


class Pursuing(Protocol):
    """A query under way."""

    @property
    def future(self) -> Outcome: ...

    def stop(self) -> None:
        """End it; cancel what is out, when nobody has waited for the answer to come."""
        ...


class Answering(Protocol):
    """A router."""

    @property
    def site(self) -> str: ...

    @property
    def view(self) -> Seeing: ...

    @property
    def policy(self) -> Policy: ...

    def pursue(self, query: Query, buffers: tuple[Bytes, ...]) -> Pursuing:
        """Begin to answer."""
        ...

    def demand(self, query: Query) -> Demand: ...

    def plan(self, demand: Demand) -> Plan:
        """Return the explained plan."""
        ...
