"""What other sites and tools send to this site's routers: queries, cancels, surveys, pings.

Answering a query is `pursuit`'s; here it is taken from the wire and its outcome put back on it.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from edge_agent.bus.base import Delivery
from middle_tier.router import Router
from middle_tier.routing.asks import Buffers
from middle_tier.routing.outcome import Outcome
from middle_tier.routing.pursuit import Pursuit  # noqa: TC001  # TYPE_CHECKING would hide cycles
from middle_tier.routing.refusals import as_refusal
from protocol.adverts import Roster, Survey
from protocol.codec import Frame
from protocol.errors import MeshError, NoCandidateError, UnreachableError
from protocol.messages import Cancel, Message, Ping, Pong, Query, Replies, Reply
from protocol.subjects import RouteSubject

log = logging.getLogger(__name__)

QUEUE = "routers"
"""Several routers of a site share what arrives: one takes each query."""


class Routes:
    """The mutable state is the queries taken and not answered yet, by where the answer goes."""

    def __init__(self, router: Router) -> None:
        self._bus = router.bus
        self._clock = router.clock
        self._site = router.site
        self._router = router
        self._taken: dict[str, Pursuit] = {}

    def __repr__(self) -> str:
        return f"<Routes {self._site} | {len(self._taken)} taken>"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take what arrives until the block ends; what is under way then goes on."""
        subject = str(RouteSubject(self._site))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._bus.subscribe(subject, self._hear, QUEUE))
            yield

    def _hear(self, delivery: Delivery) -> None:
        if delivery.frame is None:
            return
        match delivery.frame.message:
            case Query() as query:
                self._take(query, delivery.frame.buffers, delivery.reply)
            case Cancel() as cancel:
                for id_ in cancel.ids:
                    pursuit = self._taken.pop(id_, None)
                    if pursuit is not None:
                        pursuit.stop()
            case Survey():
                roster = Roster(site=self._site, nodes=self._router.view.nodes(self._clock.now()))
                self._send(delivery.reply, roster)
            case Ping(site=site, missed=missed):
                reach = self._router.below.reach(self._router.policy, site)
                self._send(delivery.reply, Pong(reach=reach))
                self._router.below.missed(missed, site)
            case message:
                log.warning("unexpected %s on %s", message.kind, delivery.subject)

    def _take(self, query: Query, buffers: Buffers, reply: str) -> None:
        start = self._clock.now()
        if self._site in query.hops:
            looped = NoCandidateError(f"the query has passed {self._site} before")
            self._reply(reply, as_refusal(query.id, looped), ())
            return
        pursuit = self._router.pursue(query, buffers)
        self._taken[query.id] = pursuit
        pursuit.begin(lambda outcome: self._done(query.id, outcome, reply, start))

    def _done(self, id_: str, outcome: Outcome, reply: str, start: float) -> None:
        self._taken.pop(id_, None)
        answer, buffers, error = outcome.answer, outcome.buffers, outcome.error
        if answer is not None:
            held_ms = (self._clock.now() - start) * 1000.0
            self._reply(reply, answer.but(held_ms=held_ms), buffers)
            return
        if not isinstance(error, MeshError):
            log.error("the query %s failed", id_, exc_info=error)
            error = MeshError("something went wrong inside the mesh")
        self._reply(reply, as_refusal(id_, error), ())

    def _reply(self, subject: str, reply: Reply, buffers: Buffers) -> None:
        self._send(subject, Replies(items=(reply,)), buffers)

    def _send(self, subject: str, message: Message, buffers: Buffers = ()) -> None:
        if not subject:
            return
        try:
            self._bus.publish(subject, Frame(message, buffers))
        except UnreachableError as error:
            log.debug("a reply was not sent: %s", error)
        except MeshError as error:
            log.warning("a reply was not sent: %s", error)
