"""Who stands in a group: members (a node, or a line of a site's offer), and pools of alike ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_agent.admission import run_ms
from protocol.adverts import VariantInfo
from protocol.bundles import estimate
from protocol.types import Latency, Tier

Ints = npt.NDArray[np.intp]
State = Literal["ready", "draining", "leaving", "suspect", "gone"]
STATES: tuple[State, ...] = ("ready", "draining", "leaving", "suspect", "gone")
TIERS: tuple[Tier, ...] = ("edge", "middle", "cloud")
NO_ROWS: Ints = np.empty(0, np.intp)
NO_LINK = estimate(0.0)

REMEMBERED = 1024
"""Typical runs that a pool remembers; when there are more, all are forgotten."""

DUES = 18
LATEST_MS = 65_536.0
"""Work that is due so late, or that nobody expects to be in time, is all alike: 2 ** (DUES - 2)."""


def _no_rows() -> Ints:
    return NO_ROWS


def due_class(due_ms: float) -> int:
    """Times of which none is twice another; what is later than all has the last."""
    return min(int(due_ms).bit_length(), DUES - 1) if due_ms < LATEST_MS else DUES - 1


class PoolKey(NamedTuple):
    """What members of one pool have in common; so a group of theirs has one cost and one fate."""

    site: str
    hardware: str
    tier: Tier
    scope: Literal["node", "site"]
    state: State
    usd_per_busy_ms: float
    kit: tuple[tuple[object, ...], ...]
    """What each can run, without the profiles: those are corrected, not compared."""
    offer: str = ""
    """Tells apart the lines of one site's summary."""
    energy_usd_per_busy_ms: float | None = None
    """What of the price is energy: for people. None: its site says only what it is in all."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Member:
    """One choosable thing. The table changes it; the planner reads it."""

    site: str
    name: str
    count: int = 1
    """Nodes that it stands for: more than one in a site's offer."""
    slot: int = 0
    pool: "Pool | None" = None
    place: int = 0
    """Index in its pool's list."""
    free_at_ms: float = 0.0
    """When the queue that was last reported is done, on the view's clock."""
    out: int = 0
    """Asks that this router has sent and not heard of again ..."""
    own_ms: float = 0.0
    """... their work, less what is expected to be late ..."""
    own_by_due: list[float] = field(default_factory=lambda: [0.0] * DUES)
    """... and by how long that was given (`due_class`)."""
    link: Latency = NO_LINK
    ways_ms: tuple[float, ...] = NO_LINK.ms
    """What it says; the table sees to it."""
    mbps: float = 1000.0
    link_at: dict[float, float] = field(default_factory=dict)
    """`link.at`, remembered by percentile."""
    warm: dict[int, int] = field(default_factory=dict)
    """Row of each variant that it has loaded -> index in that row's crowd."""
    rows: Ints = field(default_factory=_no_rows)
    """The keys of `warm`, and its pool's own row."""
    loading: dict[str, float] = field(default_factory=dict)
    """Variant -> when it will be loaded, in ms on the view's clock."""
    barred: dict[str, float] = field(default_factory=dict)
    """Variant -> until when it is not asked for it again, in ms on the view's clock."""
    pace: float = 1.0
    """Observed run times over what its class takes, whatever the variant ..."""
    factors: dict[str, float] = field(default_factory=dict)
    """... and what one variant differs from that, where it does."""

    def queue_ms(self, now_ms: float) -> float:
        """Work before a new ask: what it reported, less its age, or what we know to be there."""
        return max(self.free_at_ms - now_ms, self.own_ms)

    def due_after_ms(self, due_ms: float) -> float:
        """Work of ours before which something due by then would be run."""
        return sum(self.own_by_due[due_class(due_ms) + 1 :])

    def link_ms(self, percentile: float) -> float:
        ms = self.link_at.get(percentile)
        if ms is None:
            ms = self.link_at[percentile] = self.link.at(percentile)
        return ms


@dataclass(slots=True, eq=False, weakref_slot=True)
class Pool:
    """Members with one key, and the block of rows that they serve.

    A block is `2 x len(infos)` rows: the warm group of each variant, then the cold ones. And one
    that is no group: it sums up all the members.
    """

    key: PoolKey
    number: int
    first: int
    rows: Ints
    """Its groups: all of its block but the last row ..."""
    own_rows: Ints
    """... which stands for all its members."""
    infos: list[VariantInfo]
    index: dict[str, int]
    """Variant -> its place in `infos`."""
    owners: list[Member | None]
    """Whose profile each variant's columns hold."""
    members: list[Member] = field(default_factory=list)
    cold: Ints = field(default_factory=_no_rows)
    """Its cold rows that have a member."""
    told: tuple[float, float] | None = None
    """The load that those rows have; None: not all have the same."""
    loaders: dict[int, list[Member]] = field(default_factory=dict)
    """Cold row -> members that are loading the variant now."""
    known: Sequence[VariantInfo] = ()
    """What `infos` has come from whole: whoever brings the same object brings no news."""
    empty_since_ms: float | None = None
    load_ms: list[float] = field(default_factory=list)
    """What loading each variant takes: its profile's, as observed."""
    typical: dict[tuple[int, int], float] = field(default_factory=dict)
    """Median run of (place in `infos`, rows) by the profile, remembered."""

    @property
    def size(self) -> int:
        return len(self.infos)

    @property
    def own_row(self) -> int:
        """The row that sums up all its members."""
        return self.first + 2 * len(self.infos)

    def typical_ms(self, at: int, rows: int) -> float:
        """Return the median run of so many rows together, by the profile."""
        ms = self.typical.get((at, rows))
        if ms is None:
            if len(self.typical) >= REMEMBERED:
                self.typical.clear()
            ms = self.typical[at, rows] = run_ms(self.infos[at].profile, rows, 50.0)
        return ms

    def names(self) -> Iterator[str]:
        """Yield what its rows' columns hold numbers for."""
        yield self.key.site
        for info in self.infos:
            yield info.variant
            yield info.architecture

    def both(self, variant: str) -> tuple[int, int]:
        """Return a variant's warm row and its cold one."""
        at = self.first + self.index[variant]
        return at, at + len(self.infos)
