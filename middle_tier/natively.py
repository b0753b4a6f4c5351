"""Queries of tenants that ask over NATS, each from an account of its own, as the server says.

Held to just what HTTP holds them to: rights, budget, fairness, the task's tensors, usage. What
carries the answer out is the router's; accounts are made in `cloud_core.identity.natives`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from hashlib import blake2b
from itertools import count
from secrets import token_hex
from typing import Any

from edge_agent.bus.base import Bus, Delivery
from edge_agent.clock import Clock
from middle_tier.gate import Caller, Gate
from middle_tier.http.behind import Answering
from middle_tier.http.job import felt
from middle_tier.http.oip import Response
from middle_tier.http.replay import Replays
from middle_tier.http.signature import Tensors
from middle_tier.http.standards import Objectives, Readers
from middle_tier.http.tally import Tally, outcome_of
from middle_tier.http.wants import MAX_MS, Wanted, with_defaults
from middle_tier.routing.asks import Buffers
from middle_tier.routing.outcome import Outcome
from middle_tier.routing.refusals import as_refusal
from protocol.codec import MAX_FRAME_BYTES, MAX_HEADER_BYTES, Frame, decode, encode, header
from protocol.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    MeshError,
    NoCandidateError,
    OverBudgetError,
    TooLargeError,
    UnauthenticatedError,
)
from protocol.messages import Answer, Cancel, Query, Refusal, Replies, Reply
from protocol.subjects import CancelSubject, NativeSubject

log = logging.getLogger(__name__)

QUEUE = "native"
MAX_ANSWER_BYTES = MAX_FRAME_BYTES - MAX_HEADER_BYTES
"""Of one answer's tensors: pieces cannot be fetched from another account."""


class Natively:
    """The mutable state is which queries are waited for; what a tenant uses is the gate's."""

    def __init__(  # what HTTP's `Inference` has, and the bus
        self, bus: Bus, router: Answering, gate: Gate, tally: Tally, clock: Clock, *,
        replays: Replays,
    ) -> None:  # fmt: skip
        self.tally = tally
        self.objectives = Objectives(router)
        self.router = router
        self._bus = bus
        self._gate = gate
        self._clock = clock
        self._replays = replays
        self._waiting: dict[tuple[str, str], set[asyncio.Task[Response]]] = {}
        """By account and the query's id."""
        self._readers = Readers(router)
        self._prefix = token_hex(6)
        self._numbers = count(1)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take what arrives until the block ends."""
        async with (
            self._bus.subscribe(NativeSubject.pattern(), self._hear, QUEUE),
            self._bus.subscribe(CancelSubject.pattern(), self._cancel),  # whoever runs it
        ):
            yield

    def _hear(self, delivery: Delivery) -> None:
        query = delivery.frame.message if delivery.frame is not None else None
        if delivery.frame is None or not isinstance(query, Query) or not delivery.reply:
            log.debug("no query on %s", delivery.subject)
            return
        try:
            self._take(delivery.subject, query, delivery.frame.buffers, delivery.reply)
        except MeshError as error:
            known = query.want.task in self.router.view.tasks
            self.tally.failed(None, query.want.task if known else "", outcome_of(error))
            self._say(delivery.reply, Frame(Replies(items=(refused(query.id, error),))))

    def _cancel(self, delivery: Delivery) -> None:
        """An account's own queries only: it is the server that says which account it is."""
        cancel = delivery.frame.message if delivery.frame is not None else None
        if not isinstance(cancel, Cancel):
            return
        account = CancelSubject.parse(delivery.subject).account
        for id_ in cancel.ids:
            for task in tuple(self._waiting.get((account, id_), ())):
                task.cancel()

    def _take(self, subject: str, query: Query, buffers: Buffers, reply: str) -> None:
        started = self._clock.now()
        # 1. The server has said which account asks; whose it is stands in the register.
        account = NativeSubject.parse(subject).account
        caller = self._gate.native(account)
        claims = caller.claims
        # 2. They may.
        claims.demand("ask", query.want.task)
        # 3. The tensors are the task's.
        reader = self._readers.reader(claims, query.want.task)
        inputs = reader.signature.match(query.inputs, buffers)
        longest_ms = max(query.deadline_ms, query.want.latency_ms)
        if longest_ms > MAX_MS:
            raise BadRequestError(
                f"{longest_ms:g} ms is too long", f"ask for at most {MAX_MS:g} ms: a day"
            )
        # 4. Of what else the frame says of them, nothing is believed.
        wanted = with_defaults(
            Wanted(query.want, query.deadline_ms, explain=False),
            self.router.policy.wants, claims.sub,
        )  # fmt: skip
        ours = Query(
            id=f"{self._prefix}-{next(self._numbers)}", want=wanted.want,
            deadline_ms=wanted.deadline_ms, inputs=inputs.tensors, tenant=claims.sub,
            tiers=claims.tiers, traceparent=query.traceparent, share=caller.share,
        )  # fmt: skip
        asked = Asked(self, caller, ours, inputs, started, query.id)
        # 5. It was not asked before. (6, that something is left of the budget, is `Asked`'s.)
        once = self._replays.once((claims.sub, query.id), _digest(query, buffers), asked.answered)
        if isinstance(once, Response):
            self._say(reply, _read(once))
        else:
            self._wait((account, query.id), once, reply)

    def _wait(
        self, who: tuple[str, str], answer: Coroutine[Any, Any, Response], reply: str
    ) -> None:
        task = asyncio.get_running_loop().create_task(answer)
        waiting = self._waiting.setdefault(who, set())
        waiting.add(task)

        def done(task: asyncio.Task[Response]) -> None:
            waiting.discard(task)
            if not waiting and self._waiting.get(who) is waiting:
                del self._waiting[who]
            if not task.cancelled():
                self._say(reply, _read(task.result()))

        task.add_done_callback(done)

    def _say(self, subject: str, frame: Frame) -> None:
        try:
            self._bus.publish(subject, frame)
        except MeshError as error:
            log.debug("a tenant's answer was not sent: %s", error)


class Asked:
    """One query that was let in, until it ends."""

    __slots__ = ("_caller", "_id", "_inputs", "_place", "_query", "_started")

    def __init__(  # what is kept of it
        self, place: Natively, caller: Caller, query: Query, inputs: Tensors, started: float,
        id_: str,
    ) -> None:  # fmt: skip
        self._place = place
        self._caller = caller
        self._query = query
        self._inputs = inputs
        self._started = started
        self._id = id_

    async def answered(self) -> Response:
        """Have it answered, once; cancelled: by its tenant, and nothing more is said."""
        query, caller = self._query, self._caller
        try:
            caller.check()  # 6.
        except (OverBudgetError, NoCandidateError) as error:
            self._place.tally.failed(None, query.want.task, outcome_of(error))
            return _told(refused(self._id, error))
        loop = asyncio.get_running_loop()
        ending: asyncio.Future[Outcome] = loop.create_future()
        pursuit = self._place.router.pursue(query, self._inputs.buffers)
        caller.begin()
        pursuit.begin(ending.set_result)
        try:
            outcome = await ending
        except asyncio.CancelledError:
            pursuit.stop()
            caller.end()
            self._place.tally.failed(query.tenant, query.want.task, "cancelled")
            raise
        return self._ended(outcome)

    def _ended(self, outcome: Outcome) -> Response:
        """Give back what was held, count, and return what is to be said."""
        query, answer = self._query, outcome.answer
        elapsed_ms = self._caller.elapsed_ms(self._started)
        cost_usd = 0.0 if answer is None else answer.cost_usd
        self._caller.end(cost_usd, felt(query.want.latency_ms, elapsed_ms, outcome))
        tally = self._place.tally
        tally.asked.append((self._started, query))
        if answer is None:
            how = outcome_of(outcome.error) if isinstance(outcome.error, MeshError) else "failed"
            tally.failed(query.tenant, query.want.task, how)
        else:
            met = self._place.objectives.met(query, answer, elapsed_ms)
            rows = self._inputs.rows
            tally.answered(
                query.tenant, query.want.task, answer, rows=rows, elapsed_ms=elapsed_ms, met=met
            )
        return self._answer(outcome, elapsed_ms)

    def _answer(self, outcome: Outcome, elapsed_ms: float) -> Response:
        answer, buffers, error = outcome.answer, outcome.buffers, outcome.error
        if answer is not None and sum(t.nbytes for t in answer.outputs) <= MAX_ANSWER_BYTES:
            said = answer.but(id=self._id, held_ms=elapsed_ms)
            return _told(said, buffers)
        if answer is not None:
            error = TooLargeError(
                f"an answer of more than {MAX_ANSWER_BYTES} bytes", "ask for it over HTTP"
            )
        if not isinstance(error, MeshError):
            log.error("a tenant's query failed", exc_info=error)
            error = MeshError("something went wrong inside the mesh")
        return _told(refused(self._id, error))


def _told(reply: Reply, buffers: Buffers = ()) -> Response:
    """What is remembered of a query, as HTTP's answers are: the whole frame."""
    frame = Frame(Replies(items=(reply,)), buffers)
    return Response(200 if isinstance(reply, Answer) else 503, (encode(frame),))


def _read(response: Response) -> Frame:
    return decode(response.body[0])


def _digest(query: Query, buffers: Buffers) -> bytes:
    """Tells queries of one id apart, and from HTTP's."""
    said = header(Frame(query.but(id="-", traceparent=None), buffers))
    digest = blake2b(b"native/" + said, digest_size=16)
    for buffer in buffers:
        digest.update(buffer)
    return digest.digest()


def refused(id_: str, error: MeshError) -> Refusal:
    """Pure. What a tenant is told: as HTTP's error and its hint."""
    detail = f"{error.error} ({error.hint})" if error.hint else error.error
    refusal = as_refusal(id_, error).but(detail=detail)
    if isinstance(error, OverBudgetError):
        return refusal.but(reason="over_budget")
    if isinstance(error, ConflictError):
        return refusal.but(reason="conflict")
    if isinstance(error, ForbiddenError | UnauthenticatedError):
        return refusal.but(reason="forbidden")
    return refusal
