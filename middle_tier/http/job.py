"""One inference request that has passed every check, until it has its response.

What a request means, and what is made of its outcome, is in `inference`.
"""

from typing import Protocol

from middle_tier.fairness import Felt
from middle_tier.gate import Caller
from middle_tier.http.behind import Pursuing
from middle_tier.http.checked import Form
from middle_tier.http.oip import Response
from middle_tier.http.pending import Pending, Told
from middle_tier.routing.outcome import Outcome
from middle_tier.scheduler.types import Plan  # noqa: TC001  # TYPE_CHECKING would hide cycles
from protocol.codec import Bytes
from protocol.errors import DeadlineError, NoCandidateError, OverBudgetError
from protocol.messages import Query


class Ending(Protocol):
    """What becomes of a job in the end."""

    def response(self, job: "Job", outcome: Outcome, elapsed_ms: float) -> Response:
        """Return what its caller gets; never raises."""
        ...

    def count(self, job: "Job", outcome: Outcome | None, elapsed_ms: float) -> None:
        """Count it, once, after its response; None: its caller went away first."""
        ...


class Job:
    """A `Pending`. The mutable state is who is to be told, or the response nobody waits for yet."""

    __slots__ = (
        "_ending", "_pursuit", "_response", "_told", "buffers", "caller", "form", "met", "plan",
        "query", "started",
    )  # fmt: skip

    def __init__(
        self, caller: Caller, query: Query, form: Form, buffers: tuple[Bytes, ...],
        started: float, ending: Ending,
    ) -> None:  # fmt: skip
        self.caller = caller
        self.query = query
        self.form = form
        self.buffers = buffers
        self.started = started
        self.plan: Plan | None = None
        """What is to be explained with the answer."""
        self._ending = ending
        self.met = False
        """Set with the response: whether every objective was kept."""
        self._pursuit: Pursuing
        self._told: Told | None = None
        self._response: Response | None = None

    def __repr__(self) -> str:
        return f"<Job {self.query.id} | {self.query.want.task}>"

    def begin(self, pursuit: Pursuing) -> Response | Pending:
        """Have it answered; return the response itself when there is one at once."""
        self._pursuit = pursuit
        self.caller.begin()
        pursuit.begin(self._ended)
        return self if self._response is None else self._response

    def then(self, told: Told) -> None:
        self._told = told

    def cancel(self) -> None:
        self._told = None
        self._pursuit.stop()
        self.caller.end()
        self._ending.count(self, None, 0.0)

    def _ended(self, outcome: Outcome) -> None:
        """Who waits comes first: what is counted and metered can wait for the response."""
        told, self._told = self._told, None
        elapsed_ms = self.caller.elapsed_ms(self.started)
        response = self._ending.response(self, outcome, elapsed_ms)
        if told is None:
            self._response = response
        else:
            told(response)
        cost_usd = 0.0 if outcome.answer is None else outcome.answer.cost_usd
        self.caller.end(cost_usd, felt(self.query.want.latency_ms, elapsed_ms, outcome))
        self._ending.count(self, outcome, elapsed_ms)


def felt(latency_ms: float, elapsed_ms: float, outcome: Outcome) -> Felt | None:
    """Pure. How a query went, as far as load goes; None: its end says nothing of that."""
    answer, error = outcome.answer, outcome.error
    if answer is not None:
        wait_ms = None if answer.cold else max(0.0, answer.held_ms - answer.run_ms)
        return Felt(latency_ms, elapsed_ms > latency_ms, wait_ms)
    if isinstance(error, NoCandidateError):
        late = error.fastest_ms is not None and error.fastest_ms > latency_ms
        return Felt(latency_ms, late=True, wait_ms=None) if late else None
    if isinstance(error, DeadlineError | OverBudgetError):
        return Felt(latency_ms, late=True, wait_ms=None)
    return None
