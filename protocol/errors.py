"""Every failure the mesh can report, as one tree.

* MeshError                  500  internal
  + BadRequestError          400  malformed
    - DecodeError            400  malformed
    - BadNameError           400  bad_name
  + UnauthenticatedError     401  unauthenticated
  + ForbiddenError           403  forbidden
  + UnknownError             404  unknown
  + ConflictError            409  conflict
  + TooLargeError            413  too_large
  + OverBudgetError          429  over_budget
  + NoCandidateError         503  no_candidate
  + BusyError                503  busy
  + UnreachableError         503  unreachable
  + DeadlineError            504  deadline
  + ExecutionError           500  execution_failed
  + UntrustedError           500  untrusted
    - RollbackError          500  rollback
    - StaleError             500  stale

The text of each is safe to show to a tenant; the cause goes to the log with ``from``.
"""

from math import ceil
from typing import ClassVar


class MeshError(Exception):
    """Base of all: the HTTP status, a stable reason word, and a hint that says how to mend it."""

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "internal"

    def __init__(self, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.hint = hint

    def body(self) -> dict[str, object]:
        """Return the error as every gate answers it: ``{"error", "reason", "hint"}``."""
        return {"error": self.error, "reason": self.reason, "hint": self.hint}

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that go with the status."""
        return {}


class BadRequestError(MeshError):
    """The request breaks the rules of the interface."""

    status = 400
    reason = "malformed"


class DecodeError(BadRequestError):
    """Bytes that are not a frame, a manifest or a message of ours."""


class BadNameError(BadRequestError):
    """A name that may not stand in a subject, a file name or a URL."""

    reason = "bad_name"


class UnauthenticatedError(MeshError):
    """No token, or one that does not prove who asks."""

    status = 401
    reason = "unauthenticated"

    def __init__(self, error: str, hint: str = "", *, whose: str = "") -> None:
        super().__init__(error, hint)
        self.whose = whose
        """The tenant, where a signature of ours proves it: for the audit log, not the caller."""

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class ForbiddenError(MeshError):
    """A known caller who may not do this."""

    status = 403
    reason = "forbidden"


class UnknownError(MeshError):
    """No such task, variant, node or site (or none that this tenant may see)."""

    status = 404
    reason = "unknown"


class ConflictError(MeshError):
    """The state of things does not allow it now."""

    status = 409
    reason = "conflict"


class TooLargeError(MeshError):
    """More bytes than a gate, a frame or a subject may carry."""

    status = 413
    reason = "too_large"


class OverBudgetError(MeshError):
    """The tenant has used up its rate, concurrency or cost."""

    status = 429
    reason = "over_budget"

    def __init__(self, error: str, hint: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(error, hint)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, ceil(self.retry_after_s)))}


class NoCandidateError(MeshError):
    """Nothing can meet the want now; says what could be had instead."""

    status = 503
    reason = "no_candidate"

    def __init__(
        self,
        error: str,
        hint: str = "",
        *,
        rejected: dict[str, int] | None = None,
        fastest_ms: float | None = None,
        best_accuracy: float | None = None,
        retry_after_s: float = 1.0,
    ) -> None:
        super().__init__(error, hint)
        self.rejected = rejected or {}
        self.fastest_ms = fastest_ms
        self.best_accuracy = best_accuracy
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        available = {"fastest_ms": self.fastest_ms, "best_accuracy": self.best_accuracy}
        return {**super().body(), "available": available, "rejected": self.rejected}

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, round(self.retry_after_s)))}


class BusyError(MeshError):
    """All that is set aside for this is in use; soon it is not."""

    status = 503
    reason = "busy"

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class UnreachableError(MeshError):
    """Nobody listens there, or the link is cut."""

    status = 503
    reason = "unreachable"

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class DeadlineError(MeshError):
    """The hard deadline passed; the work was dropped."""

    status = 504
    reason = "deadline"


class ExecutionError(MeshError):
    """The model itself failed on this input."""

    reason = "execution_failed"


class UntrustedError(MeshError):
    """Bytes that may not be believed: wrong digest, unlisted runtime, failed golden outputs."""

    reason = "untrusted"


class RollbackError(UntrustedError):
    """Signed well, but older than what was believed before."""

    reason = "rollback"


class StaleError(UntrustedError):
    """Signed well, but expired: new installs wait, serving goes on."""

    reason = "stale"
