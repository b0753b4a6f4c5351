"""Pure. From when on an answer is late: another percentile of what was predicted of its node."""

from edge_agent.admission import run_ms
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Candidate

KNOWN = 1024
"""Ratios remembered; when there are more, all are forgotten."""


class Lateness:
    """The mutable state is the ratios worked out lately."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[tuple[object, ...], float] = {}

    def ms(self, candidate: Candidate, rows: int, wanted: float, after: float) -> float:
        """Return its finish at percentile `after`; it was predicted at `wanted`.

        Only the run is known at every percentile: link and queue stay as they were predicted.
        """
        key = (candidate.site, candidate.hardware, candidate.variant, rows, wanted, after)
        ratio = self._known.get(key)
        if ratio is None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            ratio = self._known[key] = self._ratio(candidate, rows, wanted, after)
        return candidate.finish_ms + candidate.run_ms * (ratio - 1.0)

    def _ratio(self, candidate: Candidate, rows: int, wanted: float, after: float) -> float:
        for key, pool in self._table.by_key.items():
            alike = key.site == candidate.site and key.hardware == candidate.hardware
            if alike and candidate.variant in pool.index:
                profile = pool.infos[pool.index[candidate.variant]].profile
                usual = run_ms(profile, rows, wanted)
                return run_ms(profile, rows, after) / usual if usual > 0 else 1.0
        return 1.0
