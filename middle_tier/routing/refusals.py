"""Pure. Errors as refusals on the wire, refusals as errors for callers, and why nothing serves."""

from dataclasses import dataclass, field
from math import ceil, inf

from middle_tier.scheduler.filters import TOO_DEAR
from middle_tier.scheduler.types import Candidate, Plan
from protocol.errors import (
    BadRequestError,
    DeadlineError,
    ExecutionError,
    MeshError,
    NoCandidateError,
    OverBudgetError,
    TooLargeError,
    UnknownError,
    UnreachableError,
)
from protocol.messages import Refusal, RefusalReason, Want

NODE_WIDE = frozenset({"draining", "queue_full", "unreachable", "cancelled"})
"""Refused for these, a node would refuse its other variants as well."""

SOONER = "allow more time with 'timeout' (microseconds), or ask for less"

_REASONS: tuple[tuple[type[MeshError], RefusalReason], ...] = (
    (NoCandidateError, "no_candidate"),
    (DeadlineError, "deadline"),
    (UnknownError, "unknown_variant"),
    (BadRequestError, "bad_tensor"),
    (TooLargeError, "bad_tensor"),
    (UnreachableError, "unreachable"),
    (OverBudgetError, "queue_full"),
)


def as_refusal(id_: str, error: MeshError) -> Refusal:
    """What a router tells the router that asked it."""
    words = (word for kind, word in _REASONS if isinstance(error, kind))
    reason: RefusalReason = next(words, "run_failed")
    if not isinstance(error, NoCandidateError):
        return Refusal(id=id_, reason=reason, detail=error.error)
    return Refusal(
        id=id_, reason=reason, detail=error.error, finish_ms=error.fastest_ms,
        best_accuracy=error.best_accuracy, rejected=error.rejected,
    )  # fmt: skip


def as_error(refusal: Refusal) -> MeshError | None:
    """The error that a node's refusal is to the caller; None: it says nothing by itself."""
    detail = refusal.detail
    match refusal.reason:
        case "bad_tensor":
            return BadRequestError(detail or "the model does not take these tensors")
        case "run_failed":
            return ExecutionError(detail or "the model failed on this input")
        case "deadline" if refusal.finish_ms is None:
            return DeadlineError(detail or "the deadline passed before it could run", SOONER)
        case _:
            return None


def as_error_of_site(refusal: Refusal) -> MeshError | None:
    """The same for a site's refusal: what a site does not know, nobody there does."""
    if refusal.reason == "unknown_variant":
        return UnknownError(refusal.detail or "no such task or variant", "see GET /v2/models")
    return as_error(refusal)


@dataclass(slots=True)
class Findings:
    """What was learnt on the way to not answering: figures for the error's text."""

    rejected: dict[str, int] = field(default_factory=dict)
    fastest_ms: float | None = None
    best_accuracy: float | None = None
    cheapest_usd: float | None = None
    loading: Candidate | None = None
    """It would have met the want, and is being loaded."""

    def plan(self, plan: Plan) -> None:
        """Nothing was ranked: keep why, from the last plan that says it."""
        self.rejected.update(plan.counts)
        self._figures(plan.fastest_ms, plan.best_accuracy)
        if plan.cheapest_usd is not None:
            self.cheapest_usd = min(plan.cheapest_usd, self.cheapest_usd or inf)

    def count(self, reason: str, number: int = 1) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + number

    def refusal(self, refusal: Refusal, link_ms: float) -> None:
        counts = refusal.rejected or {refusal.reason.replace("_", " "): 1}
        for reason, number in counts.items():
            self.count(reason, number)
        finish = None if refusal.finish_ms is None else refusal.finish_ms + link_ms
        self._figures(finish, refusal.best_accuracy)

    def _figures(self, fastest_ms: float | None, best_accuracy: float | None) -> None:
        times = [ms for ms in (self.fastest_ms, fastest_ms) if ms is not None]
        accuracies = [best for best in (self.best_accuracy, best_accuracy) if best is not None]
        self.fastest_ms = min(times, default=None)
        self.best_accuracy = max(accuracies, default=None)


def _dear(want: Want, found: Findings) -> list[str]:
    """What would be in time and accurate enough, but for its cost."""
    if want.max_cost_usd is None or TOO_DEAR not in found.rejected:
        return []
    if found.cheapest_usd is None or found.cheapest_usd <= want.max_cost_usd:
        return ["some would meet it but for max_cost_usd"]
    return [f"the cheapest that would meet it costs {found.cheapest_usd:.3g} USD"]


def nothing_meets(want: Want, found: Findings) -> NoCandidateError:
    """The 503 that says what could be had instead."""
    could = _dear(want, found)
    if found.fastest_ms is not None:
        figure = format(found.fastest_ms, ".3g" if found.fastest_ms < 100 else ".0f")  # noqa: PLR2004
        could.append(f"the fastest at that accuracy takes about {figure} ms")
    if found.best_accuracy is not None:
        could.append(f"the best accuracy in that time is {found.best_accuracy:.4g}")
    retry_after_s = 1.0
    if found.loading is not None:
        retry_after_s = max(1.0, ceil(found.loading.cold_ms / 1000.0))
        could.append(f"{found.loading.variant} is being loaded: retry in {retry_after_s:.0f} s")
    return NoCandidateError(
        f"nothing can meet this want for {want.task} now",
        "; ".join(could) or "no live node serves it: see GET /v1/nodes",
        rejected=found.rejected,
        fastest_ms=found.fastest_ms,
        best_accuracy=found.best_accuracy,
        retry_after_s=retry_after_s,
    )
