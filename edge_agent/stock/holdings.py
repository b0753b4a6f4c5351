"""Pure. The variants that this node can run: cold, loading or warm, and the memory they share.

Loading them is loader's; which bytes may be believed is the bundles'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.bundles.store import Held
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.intake import Signature
from edge_agent.runtimes.base import Runtime
from edge_agent.stock.measurement import Measurement
from protocol.bundles import RuntimePin
from protocol.types import Profile

OVERDUE = 0.2
"""A load that is overdue is predicted to need this share of its time more."""


@dataclass(slots=True, eq=False)
class Holding:
    """One variant. The mutable state of its life on this node is all here."""

    held: Held
    pin: RuntimePin
    signature: Signature
    forecast: Forecast
    memory_bytes: int
    """What it takes, or will: measured once it was loaded here."""
    state: Literal["cold", "loading", "warm"] = "cold"
    runtime: Runtime | None = None
    ready_at: float = 0.0
    """While loading: when it should be over."""
    used_at: float = 0.0
    in_use: int = 0
    """Its asks that wait or run."""
    busy: bool = False
    """A run, or a measurement, has the runtime now."""
    measurement: Measurement | None = None
    """What is known of its run times, until that is whole."""
    measuring: bool = False
    """The measurement has the runtime now: until the run under way is over, if somebody asks."""
    fault: str = ""
    """Why it was given up."""
    retry_at: float = 0.0
    """With a fault: not to be tried again before."""
    leaving: bool = False
    """A newer version waits to take its place, or it is held no more: it takes no new asks."""
    id: str = field(init=False)
    """Its variant's: kept, as the queue asks for it all the time."""

    def __post_init__(self) -> None:
        self.id = self.held.variant.id

    @property
    def profile(self) -> Profile:
        return self.forecast.profile

    @property
    def free(self) -> bool:
        """Whether a run may start."""
        return self.state == "warm" and not self.busy

    @property
    def idle(self) -> bool:
        """Whether it may be replaced: nothing loads it, runs on it or waits for it."""
        return self.state == "cold" or (self.state == "warm" and not self.in_use)

    def become(self, other: "Holding") -> None:
        """Be another variant of this id; only while cold."""
        self.held, self.pin, self.signature = other.held, other.pin, other.signature
        self.forecast, self.memory_bytes = other.forecast, other.memory_bytes
        self.measurement = other.measurement
        self.fault, self.retry_at, self.leaving = "", 0.0, False

    def cold_ms(self, now: float) -> float:
        """What is left of making it warm."""
        if self.state == "cold":
            return self.profile.load_ms
        if self.state == "loading":
            return max(OVERDUE * self.profile.load_ms, (self.ready_at - now) * 1e3)
        return 0.0

    def measuring_ms(self, now: float) -> float:
        """What is left of the run that measures it; it is the last one when somebody asks."""
        if not self.measuring or self.measurement is None:
            return 0.0
        return max(0.0, self.measurement.until - now) * 1e3


class Holdings:
    """Every holding by id, and the memory cap that they share."""

    def __init__(self, holdings: Iterable[Holding], memory_bytes: int) -> None:
        self._all = {holding.id: holding for holding in holdings}
        self.memory_bytes = memory_bytes

    def __repr__(self) -> str:
        free = f"{self.free_bytes >> 20} MiB free"
        return f"<Holdings {len(self.resident())} of {len(self._all)} | {free}>"

    @property
    def all(self) -> Mapping[str, Holding]:
        return self._all

    def put(self, holding: Holding) -> None:
        """Hold one more."""
        self._all[holding.id] = holding

    def drop(self, holding: Holding) -> None:
        """Hold it no more; only while cold."""
        self._all.pop(holding.id, None)

    def resident(self) -> tuple[Holding, ...]:
        """Those in memory, or on their way there."""
        return tuple(each for each in self._all.values() if each.state != "cold")

    @property
    def free_bytes(self) -> int:
        return max(0, self.memory_bytes - sum(each.memory_bytes for each in self.resident()))

    def room_for(self, wanted: Holding) -> tuple[Holding, ...] | None:
        """What to evict for `wanted`, least recently used first; None when even that is too little.

        What loads, runs or is waited for stays.
        """
        missing = wanted.memory_bytes - self.free_bytes
        idle = sorted(
            (each for each in self.resident() if each.state == "warm" and not each.in_use),
            key=lambda each: each.used_at,
        )
        evicted: list[Holding] = []
        while missing > 0 and idle:
            evicted.append(idle.pop(0))
            missing -= evicted[-1].memory_bytes
        return tuple(evicted) if missing <= 0 else None
