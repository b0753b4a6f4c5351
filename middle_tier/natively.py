"""Queries of tenants that ask over NATS, each from an account of its own, as the server says.

Held to just what HTTP holds them to: rights, budget, fairness, the task's tensors, usage. What
carries the answer out is the router's; accounts are made in `cloud_core.identity.natives`.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from secrets import token_hex

from edge_agent.bus.base import Bus, Delivery
from edge_agent.clock import Clock
from middle_tier.gate import Caller, Gate
from middle_tier.http.behind import Answering
from middle_tier.http.job import felt
from middle_tier.http.standards import Objectives, Readers
from middle_tier.http.tally import Tally, outcome_of
from middle_tier.http.wants import Wanted, with_defaults
from middle_tier.routing.asks import Buffers
from middle_tier.routing.outcome import Outcome
from middle_tier.routing.refusals import as_refusal
from protocol.codec import MAX_FRAME_BYTES, MAX_HEADER_BYTES, Frame
from protocol.errors import (
    ForbiddenError,
    MeshError,
    OverBudgetError,
    TooLargeError,
    UnauthenticatedError,
)
from protocol.messages import Query, Refusal, Replies, Reply
from protocol.subjects import NativeSubject

log = logging.getLogger(__name__)

QUEUE = "native"
MAX_ANSWER_BYTES = MAX_FRAME_BYTES - MAX_HEADER_BYTES
"""Of one answer's tensors: pieces cannot be fetched from another account."""


class Natively:
    """The mutable state is the number of the last query; what a tenant uses is the gate's."""

    def __init__(self, bus: Bus, router: Answering, gate: Gate, tally: Tally, clock: Clock) -> None:
        self.tally = tally
        self.objectives = Objectives(router)
        self._bus = bus
        self._router = router
        self._gate = gate
        self._clock = clock
        self._readers = Readers(router)
        self._prefix = token_hex(6)
        self._numbers = count(1)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take what arrives until the block ends."""
        async with self._bus.subscribe(NativeSubject.pattern(), self._hear, QUEUE):
            yield

    def _hear(self, delivery: Delivery) -> None:
        query = delivery.frame.message if delivery.frame is not None else None
        if delivery.frame is None or not isinstance(query, Query) or not delivery.reply:
            log.debug("no query on %s", delivery.subject)
            return
        try:
            self._take(delivery.subject, query, delivery.frame.buffers, delivery.reply)
        except MeshError as error:
            known = query.want.task in self._router.view.tasks
            self.tally.failed(None, query.want.task if known else "", outcome_of(error))
            self.reply(delivery.reply, refused(query.id, error))

    def _take(self, subject: str, query: Query, buffers: Buffers, reply: str) -> None:
        started = self._clock.now()
        # 1. The server has said which account asks; whose it is stands in the register.
        caller = self._gate.native(NativeSubject.parse(subject).account)
        claims = caller.claims
        # 2. They may, and have something left.
        claims.demand("ask", query.want.task)
        caller.check()
        # 3. The tensors are the task's.
        reader = self._readers.reader(claims, query.want.task)
        inputs = reader.signature.match(query.inputs, buffers)
        # 4. Of what else the frame says of them, nothing is believed.
        wanted = with_defaults(
            Wanted(query.want, query.deadline_ms, explain=False),
            self._router.policy.wants, claims.sub,
        )  # fmt: skip
        ours = Query(
            id=f"{self._prefix}-{next(self._numbers)}", want=wanted.want,
            deadline_ms=wanted.deadline_ms, inputs=inputs.tensors, tenant=claims.sub,
            tiers=claims.tiers, traceparent=query.traceparent,
        )  # fmt: skip
        pursuit = self._router.pursue(ours, inputs.buffers)
        asked = Asked(self, caller, ours, inputs.rows, started, (query.id, reply))
        caller.begin()
        pursuit.begin(asked.ended)

    def reply(self, subject: str, reply: Reply, buffers: Buffers = ()) -> None:
        try:
            self._bus.publish(subject, Frame(Replies(items=(reply,)), buffers))
        except MeshError as error:
            log.debug("a tenant's answer was not sent: %s", error)


class Asked:
    """One query that was let in, until it ends."""

    __slots__ = ("_caller", "_id", "_place", "_query", "_reply", "_rows", "_started")

    def __init__(  # what is kept of it
        self, place: Natively, caller: Caller, query: Query, rows: int, started: float,
        asked: tuple[str, str],
    ) -> None:  # fmt: skip
        self._place = place
        self._caller = caller
        self._query = query
        self._rows = rows
        self._started = started
        self._id, self._reply = asked

    def ended(self, outcome: Outcome) -> None:
        """Answer, give back what was held, count."""
        query, answer = self._query, outcome.answer
        elapsed_ms = self._caller.elapsed_ms(self._started)
        self._answer(outcome, elapsed_ms)
        cost_usd = 0.0 if answer is None else answer.cost_usd
        self._caller.end(cost_usd, felt(query.want.latency_ms, elapsed_ms, outcome))
        tally = self._place.tally
        if answer is None:
            how = outcome_of(outcome.error) if isinstance(outcome.error, MeshError) else "failed"
            tally.failed(query.tenant, query.want.task, how)
            return
        met = self._place.objectives.met(query, answer, elapsed_ms)
        tally.answered(
            query.tenant, query.want.task, answer, rows=self._rows, elapsed_ms=elapsed_ms, met=met
        )

    def _answer(self, outcome: Outcome, elapsed_ms: float) -> None:
        answer, buffers, error = outcome
        if answer is not None and sum(t.nbytes for t in answer.outputs) <= MAX_ANSWER_BYTES:
            said = answer.but(id=self._id, held_ms=elapsed_ms)
            self._place.reply(self._reply, said, buffers)
            return
        if answer is not None:
            error = TooLargeError(
                f"an answer of more than {MAX_ANSWER_BYTES} bytes", "ask for it over HTTP"
            )
        if not isinstance(error, MeshError):
            log.error("a tenant's query failed", exc_info=error)
            error = MeshError("something went wrong inside the mesh")
        self._place.reply(self._reply, refused(self._id, error))


def refused(id_: str, error: MeshError) -> Refusal:
    """Pure. What a tenant is told: as HTTP's error and its hint."""
    detail = f"{error.error} ({error.hint})" if error.hint else error.error
    refusal = as_refusal(id_, error).but(detail=detail)
    if isinstance(error, OverBudgetError):
        return refusal.but(reason="over_budget")
    if isinstance(error, ForbiddenError | UnauthenticatedError):
        return refusal.but(reason="forbidden")
    return refusal
