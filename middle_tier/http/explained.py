"""Pure. A plan as people and programs read it: ranked candidates, and why each other one is out."""

from typing import Any

from middle_tier.scheduler.types import Candidate, Plan, Rejected
from protocol.messages import Want

_INTERNAL = frozenset({"marginal_ms", "mbps"})

PARTS = ("link_ms", "transfer_ms", "queue_ms", "cold_ms", "run_ms")
"""Of a finish, in order; they add up to it."""
COSTS = ("busy_usd", "bytes_usd")
"""Of a cost; they add up to it: rent and energy of the run, and the way of its tensors."""
BUSY = ("energy_usd", "rent_usd")
"""Of `busy_usd`; None where that is all that is known, as of another site's nodes."""


def explained(want: Want, plan: Plan) -> dict[str, object]:
    """Return the plan as a JSON document."""
    return {
        "task": want.task,
        "want": want.model_dump(exclude_none=True, exclude={"task"}),
        "ranked": [_plain(candidate, plan) for candidate in plan.ranked],
        "fallback": [_plain(candidate, plan) for candidate in plan.fallback],
        "rejected": [_plain(line, plan) for line in plan.rejected],
        "counts": plan.counts,
        "fastest_ms": _rounded(plan.fastest_ms),
        "best_accuracy": plan.best_accuracy,
    }


def _plain(line: Candidate | Rejected, plan: Plan) -> dict[str, Any]:
    found = {
        name: _rounded(value) if name.endswith("_ms") else value
        for name, value in line._asdict().items()
        if name not in _INTERNAL
    }
    bytes_usd = plan.bytes_usd.get(line.tier, 0.0)
    if line.cost_usd is not None:
        busy_usd = found["busy_usd"] = max(0.0, line.cost_usd - bytes_usd)
        share = plan.energy.get((line.site, line.hardware, line.tier))
        found["energy_usd"] = None if share is None else busy_usd * share
        found["rent_usd"] = None if share is None else busy_usd * (1.0 - share)
        found["bytes_usd"] = bytes_usd
    return found


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(float(ms), 3)
