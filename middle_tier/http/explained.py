"""Pure. A plan as people and programs read it: ranked candidates, and why each other one is out."""

from typing import Any

from middle_tier.scheduler.types import Candidate, Plan, Rejected
from protocol.messages import Want

_INTERNAL = frozenset({"marginal_ms"})


def explained(want: Want, plan: Plan) -> dict[str, object]:
    """Return the plan as a JSON document."""
    return {
        "task": want.task,
        "want": want.model_dump(exclude_none=True, exclude={"task"}),
        "ranked": [_plain(candidate) for candidate in plan.ranked],
        "fallback": [_plain(candidate) for candidate in plan.fallback],
        "rejected": [_plain(line) for line in plan.rejected],
        "counts": plan.counts,
        "fastest_ms": _rounded(plan.fastest_ms),
        "best_accuracy": plan.best_accuracy,
    }


def _plain(line: Candidate | Rejected) -> dict[str, Any]:
    return {
        name: _rounded(value) if name.endswith("_ms") else value
        for name, value in line._asdict().items()
        if name not in _INTERNAL
    }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(float(ms), 3)
