"""One inference request from its bytes to its response: what stands behind both HTTP lanes.

Checks, asks the router, counts. It knows no sockets: `fastlane` and `ingress` carry what it says.
"""

import logging
import uuid
from hashlib import blake2b
from itertools import count

from edge_agent.clock import Clock
from middle_tier.gate import Gate
from middle_tier.http import oip
from middle_tier.http.behind import Answering, Seeing
from middle_tier.http.call import Call
from middle_tier.http.explained import explained
from middle_tier.http.job import Job
from middle_tier.http.oip import Response
from middle_tier.http.pending import Awaited, Pending, settled
from middle_tier.http.rendering import Renderer, Said
from middle_tier.http.replay import Replays
from middle_tier.http.standards import Objectives, Readers
from middle_tier.http.tally import Tally, outcome_of
from middle_tier.http.wants import with_defaults
from middle_tier.routing.outcome import Outcome
from protocol.codec import Bytes
from protocol.errors import MeshError, NoCandidateError, OverBudgetError, UnknownError
from protocol.messages import Query

_log = logging.getLogger(__name__)


class Inference:
    """Takes calls; each becomes a response at once (it is bad, or known), or a pending one."""

    def __init__(
        self, router: Answering, gate: Gate, clock: Clock, replays: Replays, tally: Tally
    ) -> None:
        self.router = router
        self.gate = gate
        self.tally = tally
        self._clock = clock
        self._replays = replays
        self.reader = Readers(router).reader
        self._met = Objectives(router).met
        self._render = Renderer()
        self._prefix = uuid.uuid4().hex[:12]
        self._numbers = count(1)

    def begin(self, call: Call, body: Bytes) -> Response | Pending:
        """Never raises."""
        try:
            return self._begin(call, body)
        except MeshError as error:
            self.tally.failed(None, self._counted(call.task), outcome_of(error))
            return oip.failure(error)
        except Exception as error:  # noqa: BLE001  # the border: callers get an incident's id
            self.tally.failed(None, self._counted(call.task), "failed")
            return incident(error)

    def _begin(self, call: Call, body: Bytes) -> Response | Pending:
        started = self._clock.now()
        caller = self.gate.caller(call.authorization)
        claims = caller.claims
        claims.demand("ask", call.task)
        caller.check()
        form, buffers = self.reader(claims, call.task).read(call.variant, body, call.json_length)
        id_ = f"{self._prefix}-{next(self._numbers)}"
        query = form.query(id_, claims, call.traceparent, share=caller.share)
        if defaults := self.router.policy.wants:
            wanted = with_defaults(form.wanted, defaults, claims.sub)
            query = query.but(want=wanted.want, deadline_ms=wanted.deadline_ms)
        job = Job(caller, query, form, buffers, started, self)
        key = call.key if call.key is not None else form.id
        if key is None:
            return self._pursued(job)
        once = self._replays.once(
            (claims.sub, oip.check_id(key)), _digest(call, body), lambda: self._run(job)
        )
        return once if isinstance(once, Response) else Awaited(once)

    def _pursued(self, job: Job) -> Response | Pending:
        """Have the query answered, and make of that what the caller gets."""
        router, query = self.router, job.query
        if job.form.wanted.explain:
            job.plan = router.plan(router.demand(query))
        return job.begin(router.pursue(query, job.buffers))

    async def _run(self, job: Job) -> Response:
        try:
            job.caller.check()  # others have begun since it was looked at
        except (OverBudgetError, NoCandidateError) as error:
            self.tally.failed(None, job.query.want.task, outcome_of(error))
            return oip.failure(error)
        return await settled(self._pursued(job))

    def response(self, job: Job, outcome: Outcome, elapsed_ms: float) -> Response:
        """Return what the caller of a job gets."""
        try:
            answer, buffers = outcome.result()
            job.met = self._met(job.query, answer, elapsed_ms)
            plan = None if job.plan is None else explained(job.query.want, job.plan)
            said = Said(job.query.want.task, job.form.id, elapsed_ms, job.met, plan)
            return self._render(said, answer, buffers, job.form.outputs)
        except MeshError as error:
            return oip.failure(self._known_names(job.query, error))
        except Exception as error:  # noqa: BLE001  # the border: callers get an incident's id
            return incident(error)

    def count(self, job: Job, outcome: Outcome | None, elapsed_ms: float) -> None:
        """Count a job that has ended; every one ends here."""
        tenant, task = job.query.tenant, job.query.want.task
        self.tally.asked.append((job.started, job.query))
        if outcome is None:
            self.tally.failed(tenant, task, "cancelled")
        elif outcome.answer is None:
            error = outcome.error
            how = outcome_of(error) if isinstance(error, MeshError) else "failed"
            self.tally.failed(tenant, task, how)
        else:
            rows, met = job.form.rows, job.met
            self.tally.answered(
                tenant, task, outcome.answer, rows=rows, elapsed_ms=elapsed_ms, met=met
            )

    def _known_names(self, query: Query, error: MeshError) -> MeshError:
        """Nothing can meet a want for what does not exist: say that instead."""
        if not isinstance(error, NoCandidateError):
            return error
        return absent(query, self.router.view) or error

    def _counted(self, task: str) -> str:
        """Only tasks that exist are counted by name: callers must not make up labels."""
        return task if task in self.router.view.tasks else ""


def absent(query: Query, view: Seeing) -> UnknownError | None:
    """The error for a want that names a variant or architecture which nobody here has."""
    want = query.want
    offered = view.variants(want.task)
    variants = sorted({info.variant for info in offered})
    if want.variant is not None and want.variant not in variants:
        return UnknownError(
            f"{want.task} has no variant {want.variant!r}",
            f"it has {', '.join(variants) or 'none now'}",
        )
    architectures = sorted({info.architecture for info in offered})
    if want.architecture is not None and want.architecture not in architectures:
        return UnknownError(
            f"{want.task} has no architecture {want.architecture!r}",
            f"it has {', '.join(architectures) or 'none now'}",
        )
    return None


def incident(error: BaseException) -> Response:
    """Log what must not be shown, under an id that may be."""
    number = uuid.uuid4().hex[:12]
    _log.error("incident %s", number, exc_info=error)
    return oip.failure(
        MeshError(
            "something went wrong inside the mesh", f"quote incident {number} to its operator"
        )
    )


def _digest(call: Call, body: Bytes) -> bytes:
    """Tells requests apart for idempotency: where they go, and every byte of them."""
    digest = blake2b(f"{call.task}/{call.variant}/{call.json_length}/".encode(), digest_size=16)
    digest.update(body)
    return digest.digest()
