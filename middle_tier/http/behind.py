"""What a gate needs of the router and the view behind it: no more, so that tests can stand in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from middle_tier.routing.outcome import Told
from middle_tier.scheduler.types import Demand, Plan, Policy
from protocol.adverts import NodeStatus, SiteCapacity, VariantInfo
from protocol.bundles import Task
from protocol.codec import Bytes
from protocol.messages import Query


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


class Pursuing(Protocol):
    """A query on its way to its answer."""

    def begin(self, told: Told) -> None:
        """Have it answered; `told` may be called before this returns, never after `stop`."""
        ...

    def stop(self) -> None:
        """End it; what is out is cancelled."""
        ...


class Answering(Protocol):
    """A router."""

    @property
    def site(self) -> str: ...

    @property
    def view(self) -> Seeing: ...

    @property
    def policy(self) -> Policy: ...

    @property
    def under_way(self) -> int: ...

    @property
    def counts(self) -> Mapping[str, int]: ...

    def pursue(self, query: Query, buffers: tuple[Bytes, ...]) -> Pursuing:
        """Return what answers it, once it is told to begin."""
        ...

    def demand(self, query: Query) -> Demand: ...

    def capacity(self) -> SiteCapacity:
        """Return what its own site can run now."""
        ...

    def plan(self, demand: Demand) -> Plan:
        """Return the explained plan."""
        ...
