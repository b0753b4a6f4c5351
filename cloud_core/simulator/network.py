"""The ways between tiers: how long, how fast and how dear over time, and when they are cut.

A transfer has a link's whole bandwidth: transfers do not wait for each other.
"""

import json
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cloud_core.simulator.scenario import BORDERS, TIERS, Border, LinkPart, Scenario
from edge_agent.admission import MBPS_BYTES_PER_MS
from protocol.errors import BadRequestError
from protocol.types import Tier

FAST = 1e6
"""Mbit/s of a border that the scenario says nothing of."""


BETWEEN: dict[tuple[Tier, Tier], tuple[Border, ...]] = {
    (here, there): BORDERS[min(low, high) : max(low, high)]
    for low, here in enumerate(TIERS)
    for high, there in enumerate(TIERS)
}
"""The borders between two tiers."""


class Speed:
    """Bandwidth over time: steps that begin again when they are over."""

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        self.starts = [at for at, _ in steps]
        self.mbps = [mbps for _, mbps in steps]
        gaps = np.diff(self.starts)
        self.steady = len(self.mbps) == 1
        self.period = self.starts[-1] + (float(np.median(gaps)) if len(gaps) else 1.0)

    def at(self, seconds: float) -> float:
        if self.steady:
            return self.mbps[0]
        place = bisect_right(self.starts, seconds % self.period) - 1
        return self.mbps[max(0, place)]


def speed(path: Path) -> Speed:
    """Read a bandwidth file: ``{"bandwidth_limits": [{"time": s, "mbps": x}, ...]}``."""
    try:
        limits = json.loads(path.read_text(encoding="utf-8"))["bandwidth_limits"]
        steps = sorted((float(one["time"]), float(one["mbps"])) for one in limits)
    except OSError as error:
        raise BadRequestError(
            f"{path}: cannot be read: {error.strerror}", "mend `mbps_file`"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequestError(
            f"{path}: not bandwidth over time: {error}",
            'expected {"bandwidth_limits": [{"time": s, "mbps": x}, ...]}',
        ) from error
    if not steps or min(mbps for _, mbps in steps) <= 0:
        raise BadRequestError(f"{path}: a bandwidth is not above 0", "use a `cut` fault for that")
    return Speed(steps)


class Network:
    """Every border, for every site that queries enter at."""

    def __init__(self, scenario: Scenario, sites: int) -> None:
        self.parts = {border: scenario.links.get(border, LinkPart()) for border in BORDERS}
        self.speeds: dict[Border, Speed] = {}
        self._ways: dict[Border, tuple[float, Speed, list[float]]] = {}
        """Half the round trip, and the bandwidth with where each site begins in it."""
        self._usd_per_gb = {
            borders: sum(self.parts[border].usd_per_gb for border in borders)
            for borders in BETWEEN.values()
        }
        for at, (border, part) in enumerate(self.parts.items()):
            if part.mbps_file is not None:
                self.speeds[border] = speed(scenario.at(part.mbps_file))
            else:
                self.speeds[border] = Speed([(0.0, part.mbps or FAST)])
            random = np.random.default_rng([scenario.seed, 2, at])
            period = self.speeds[border].period
            offsets = random.uniform(0.0, period, sites + 1).tolist()
            self._ways[border] = part.rtt_ms / 2.0, self.speeds[border], offsets
        self.cuts = [
            (fault.cut, fault.at_s, fault.at_s + fault.for_s)
            for fault in scenario.faults
            if fault.cut is not None
        ]

    @staticmethod
    def borders(here: Tier, there: Tier) -> tuple[Border, ...]:
        """Return the borders between two tiers."""
        return BETWEEN[here, there]

    def cut(self, borders: Sequence[Border], now: float) -> bool:
        """Whether one of them cannot be passed now."""
        if not self.cuts:
            return False
        return any(border in borders and begin <= now < end for border, begin, end in self.cuts)

    def cut_throughout(self, borders: Sequence[Border], begin: float, end: float) -> bool:
        """Whether one of them cannot be passed at any time between two instants."""
        return any(
            border in borders and first <= begin and end < last for border, first, last in self.cuts
        )

    def mbps(self, border: Border, site: int, now: float) -> float:
        _, speed, offsets = self._ways[border]
        return speed.at(now + offsets[site])

    def one_way_s(
        self, borders: Sequence[Border], site: int, nbytes: float, *, now: float
    ) -> float:
        """Return what a message takes over some borders: half the round trip, and its bytes."""
        ms = 0.0
        for border in borders:
            half_ms, speed, offsets = self._ways[border]
            mbps = speed.mbps[0] if speed.steady else speed.at(now + offsets[site])
            ms += half_ms
            ms += nbytes / (mbps * MBPS_BYTES_PER_MS)
        return ms / 1000.0

    def usd(self, borders: tuple[Border, ...], nbytes: float) -> float:
        """Return the price of so many bytes over some borders."""
        return self._usd_per_gb[borders] * nbytes / 1e9
