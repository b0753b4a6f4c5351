"""What it costs, by fleet: energy of what nodes do, rent of the hours they are held, bytes carried.

One rule for every policy and for the oracle. A run and a load are work; an idle node takes no
energy here. Where a fleet has `usd_per_hour`, its nodes cost that while they are held, busy or not,
and nothing more: rent is not charged a second time for busy hours.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cloud_core.simulator.scenario import Fleet
from protocol.types import Tier

BUCKETS = 60
"""Parts of the run for what is shown over time."""

Floats = npt.NDArray[np.float64]


def energy_usd(fleet: Fleet, seconds: float) -> float:
    """Return the price of the energy of so much work on a node of a fleet."""
    return energy_wh(fleet, seconds) / 1000.0 * fleet.price.usd_per_kwh


def energy_wh(fleet: Fleet, seconds: float) -> float:
    return fleet.price.watts * seconds / 3600.0


def rent_usd(fleet: Fleet, seconds: float) -> float:
    """Return the price of holding a node of a fleet for so long."""
    return fleet.price.usd_per_hour * seconds / 3600.0


@dataclass(slots=True)
class Account:
    """One fleet's: seconds of work (runs and loads), and of being held."""

    fleet: Fleet
    work_s: float = 0.0
    held_s: float = 0.0

    @property
    def usd(self) -> float:
        return energy_usd(self.fleet, self.work_s) + rent_usd(self.fleet, self.held_s)


@dataclass(slots=True)
class Ledger:
    """Every fleet's account; and the same dollars over time."""

    accounts: dict[str, Account]
    duration_s: float
    bytes_usd: dict[Tier, float] = field(
        default_factory=lambda: {"edge": 0.0, "middle": 0.0, "cloud": 0.0}
    )
    """By the tier that they were carried to, or back from."""
    over_time: Floats = field(default_factory=lambda: np.zeros(BUCKETS))

    def worked(self, fleet: Fleet, seconds: float, now: float) -> None:
        self.accounts[fleet.name].work_s += seconds
        self.over_time[self.bucket(now)] += energy_usd(fleet, seconds)

    def carried(self, tier: Tier, usd: float, now: float) -> None:
        self.bytes_usd[tier] += usd
        self.over_time[self.bucket(now)] += usd

    def held(self, fleet: Fleet, begin: float, end: float) -> None:
        """A node was held from `begin` to `end`; what lies behind the run's end does not count."""
        end = min(end, self.duration_s)
        if end <= begin:
            return
        self.accounts[fleet.name].held_s += end - begin
        first, last = self.bucket(begin), self.bucket(end)
        share = rent_usd(fleet, end - begin) / (last - first + 1)
        self.over_time[first : last + 1] += share

    def bucket(self, now: float) -> int:
        return min(BUCKETS - 1, int(now / self.duration_s * BUCKETS))

    @property
    def usd(self) -> float:
        return sum(self.usd_by_tier().values())

    def usd_by_tier(self) -> dict[str, float]:
        """Return the dollars of each tier, those for bytes among them."""
        tiers: dict[str, float] = {tier: usd for tier, usd in self.bytes_usd.items()}  # noqa: C416  # the keys' type
        for account in self.accounts.values():
            tiers[account.fleet.tier] += account.usd
        return tiers

    @property
    def wh(self) -> float:
        return sum(energy_wh(one.fleet, one.work_s) for one in self.accounts.values())


def ledger(fleets: tuple[Fleet, ...], duration_s: float) -> Ledger:
    """Return empty accounts, but for the hours of the fleets that are always held."""
    made = Ledger({fleet.name: Account(fleet) for fleet in fleets}, duration_s)
    for fleet in fleets:
        if not fleet.on_demand:
            count = fleet.each * fleet.sites
            made.accounts[fleet.name].held_s = duration_s * count
            made.over_time += rent_usd(fleet, duration_s * count) / BUCKETS
    return made
