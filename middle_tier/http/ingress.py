"""HTTP in, HTTP out: all routes of a gate on one port. Statuses come from the errors.

Every connection begins in the `fastlane`, which answers plain inference requests and hands all
others over to the aiohttp application that is put together here.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from edge_agent.clock import Clock, SystemClock
from middle_tier.gate import Gate
from middle_tier.http import oip
from middle_tier.http.behind import Answering
from middle_tier.http.door import Door, opened
from middle_tier.http.fastlane import MAX_BODY_BYTES
from middle_tier.http.inference import Inference, incident
from middle_tier.http.lanes import Lanes
from middle_tier.http.models import Models, release
from middle_tier.http.openapi import document
from middle_tier.http.overview import Overview
from middle_tier.http.replay import Replays
from middle_tier.http.tally import Tally
from middle_tier.http.webroutes import Doc, Route, as_web, json_response
from protocol.errors import BadRequestError, MeshError, UnknownError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take; each in seconds."""

    idle_s: float = 75.0
    """Between two requests. Longer spares clients reconnecting, and holds a file descriptor."""
    stall_s: float = 30.0
    """Inside a request, or an answer, without a byte of progress."""
    grace_s: float = 10.0
    """For requests in flight when the gate stops."""
    linger_s: float = 0.5
    """How long a connection that was just busy stays when the gate stops, for its next request to
    be answered with ``Connection: close`` rather than met by a reset."""


class MethodError(MeshError):
    """The route exists; not for this method."""

    status = 405
    reason = "method"


@asynccontextmanager
async def serving(  # noqa: PLR0913  # all but two have defaults
    router: Answering,
    gate: Gate,
    *,
    door: Door | None = None,
    extra_routes: Sequence[Route] = (),
    clock: Clock | None = None,
    limits: Limits = Limits(),  # frozen
    tally: Tally | None = None,
    replays: Replays | None = None,
) -> AsyncIterator[str]:
    """Serve until the block ends; yields the URL. `door`: where; none: a free port of loopback.

    A route in `extra_routes` takes the place of ours with the same method and path.
    """
    clock = clock or SystemClock()
    async with _tasks() as tasks, AsyncExitStack() as stack:
        door = door or stack.enter_context(opened())
        tally = tally or Tally(clock.wall())
        inference = Inference(router, gate, clock, replays or Replays(clock, tasks), tally)
        runner = web.AppRunner(
            application(all_routes(inference, clock, extra_routes)),
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=limits.idle_s,
            shutdown_timeout=limits.grace_s,
        )
        await runner.setup()
        server = runner.server
        assert server is not None  # noqa: S101  # set up
        slow = partial(
            Slow, server, loop=asyncio.get_running_loop(), keepalive_timeout=limits.idle_s,
            access_log=None,  # type: ignore[arg-type]  # its runner passes it on as well
        )  # fmt: skip
        lanes = Lanes(inference, clock, slow)
        listening = await door.served(lanes)
        beside = [tasks.create_task(_sweep(lanes, clock, limits), name="sweep connections")]
        if door.certificate is not None:
            beside.append(tasks.create_task(door.certificate.keep(clock), name="certificate"))
        try:
            yield door.url
        finally:
            await asyncio.sleep(0)  # whoever has connected is accepted before nobody is any more
            for one in listening:
                one.close()
            await lanes.close(grace_s=limits.grace_s, linger_s=limits.linger_s)
            await runner.cleanup()
            for task in beside:
                task.cancel()


@asynccontextmanager
async def _tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A group that does not wrap what the block raises: callers catch errors by their class."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0]  # noqa: B904  # the same error: a group around it says nothing
        raise


def all_routes(
    inference: Inference, clock: Clock, extra: Sequence[Route] = ()
) -> tuple[Route, ...]:
    """Every route that the gate answers, OpenAPI's own included."""
    ours = (*Models(inference, clock).routes(), *Overview(inference, clock).routes())
    by_place = {(route.method, route.path): route for route in (*ours, *extra)}

    async def openapi(_: web.Request) -> oip.Response:
        return json_response(described)

    doc = Doc("This document", "operation")
    routes = (*by_place.values(), Route("GET", "/openapi.json", openapi, doc, open=True))
    described = document(routes, release())
    return routes


def application(routes: Sequence[Route]) -> web.Application:
    """The slow lane."""
    app = web.Application(middlewares=[_refuse], client_max_size=MAX_BODY_BYTES)
    app.add_routes([route.definition() for route in routes])
    return app


@web.middleware
async def _refuse(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401  # aiohttp's
    """Answer what aiohttp itself refuses in our shape, and what it would take the first of."""
    twice = next((name for name in _ONCE if len(request.headers.getall(name, ())) > 1), None)
    if twice is not None:
        return as_web(oip.failure(BadRequestError(f"{twice} was sent twice", "send it once")))
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        wrong = MethodError(
            f"{request.method[:20]} is not for {request.path[:100]}", f"use {allowed}"
        )
        refusal = as_web(oip.failure(wrong))
        refusal.headers["Allow"] = allowed
        return refusal
    except web.HTTPNotFound:
        unknown = UnknownError(f"no route {request.path[:100]}", "see GET /openapi.json")
        return as_web(oip.failure(unknown))
    except web.HTTPException as error:
        failure = oip.failure(BadRequestError(error.reason, "see GET /openapi.json"))
        return as_web(replace(failure, status=error.status))
    return response


_ONCE = ("Authorization", "Idempotency-Key", "Inference-Header-Content-Length", "Content-Type")
"""Headers that say one thing: of two, whoever stands before this gate may believe the other."""


class Slow(web.RequestHandler):
    """aiohttp's protocol, with errors before any route (bad HTTP) in our shape as well."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # aiohttp's
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        if status >= 500 and exc is not None:  # noqa: PLR2004  # HTTP's
            response = as_web(incident(exc))
        else:
            error = BadRequestError("this is not a valid HTTP request", "see GET /openapi.json")
            response = as_web(replace(oip.failure(error), status=status))
        response.force_close()
        return response


async def _sweep(lanes: Lanes, clock: Clock, limits: Limits) -> None:
    while True:
        await clock.sleep(min(limits.idle_s, limits.stall_s) / 4)
        lanes.sweep(idle_s=limits.idle_s, stall_s=limits.stall_s)
