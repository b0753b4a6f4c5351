"""What came of each query, as columns; and the figures of a whole run made of them."""

import numpy as np

from cloud_core.simulator.scenario import TIERS, Scenario
from protocol.types import Tier

OPEN, ANSWERED, REFUSED = 0, 1, 2
EPSILON_S = 1e-9

_TIER: dict[Tier, int] = {tier: at for at, tier in enumerate(TIERS)}


class Records:
    """Equally long columns, by number of the query."""

    def __init__(self, scenario: Scenario, size: int) -> None:
        self.outcome = np.zeros(size, np.int8)
        self.latency_s = np.full(size, np.inf)
        self.accuracy = np.zeros(size)
        self.tier = np.full(size, -1, np.int8)
        self.promised = np.zeros(size, np.bool_)
        """Whether it was to be in time by what was predicted when last asked for: a mesh's."""
        longest = max(want.latency_ms for want in scenario.wants)
        self.longest_s = max(4.0 * longest, 1000.0) / 1e3 + 1.0

    def answered(self, number: int, latency_s: float, accuracy: float, tier: Tier) -> None:
        self.outcome[number] = ANSWERED
        self.latency_s[number] = latency_s
        self.accuracy[number] = accuracy
        self.tier[number] = _TIER[tier]

    def refused(self, number: int) -> None:
        self.outcome[number] = REFUSED
