"""A relay's shape over HTTP, and the process that `tiermesh up` runs its relays in.

``GET`` shows {"delay_ms", "bandwidth_mbps", "cut"}; ``PUT``, ``POST`` and ``PATCH`` change those of
the three that are given. Loopback only: it is a knob for tests and demonstrations, with no token.
"""

import logging
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from pydantic import ValidationError

from cloud_core.relay import Endpoint, Relay, Shape, relaying
from edge_agent.config import Config
from middle_tier.process import run
from protocol.errors import BadRequestError, MeshError, UnknownError

log = logging.getLogger(__name__)


class RelayConfig(Config):
    """One link."""

    name: str
    port: int
    """Where it listens, on 127.0.0.1."""
    target_port: int
    """Where it leads, on 127.0.0.1."""
    shape: Shape = Shape()


class RelaysConfig(Config):
    """What one relay process does."""

    control_port: int
    relays: tuple[RelayConfig, ...]


def changed(shape: Shape, data: bytes) -> Shape:
    """Pure. Return `shape` with the given fields changed; raise `BadRequestError`."""
    try:
        given = Shape.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "body"
        hint = 'send JSON such as {"delay_ms": 40, "bandwidth_mbps": 0, "cut": false}'
        raise BadRequestError(f"{place}: {fault['msg']}", hint) from error
    return shape.model_copy(update=given.model_dump(exclude_unset=True))


def application(relays: Iterable[Relay]) -> web.Application:
    """Return the control of these relays: ``/relays/<name>``."""
    by_name = {relay.name: relay for relay in relays}

    async def shaped(request: web.Request) -> web.Response:
        try:
            relay = by_name.get(request.match_info["name"])
            if relay is None:
                raise UnknownError("no such relay", f"there are {', '.join(by_name)}")
            if request.method != "GET":
                relay.reshape(changed(relay.shape, await request.read()))
                log.info("reshaped %r", relay)
            return web.json_response(relay.shape.model_dump())
        except MeshError as error:
            return web.json_response(error.body(), status=error.status)

    async def index(_: web.Request) -> web.Response:
        shapes = {name: relay.shape.model_dump() for name, relay in by_name.items()}
        return web.json_response(shapes)

    app = web.Application(client_max_size=4096)
    app.router.add_get("/relays", index)
    for method in ("GET", "PUT", "POST", "PATCH"):
        app.router.add_route(method, "/relays/{name}", shaped)
    return app


@asynccontextmanager
async def controlling(*relays: Relay, port: int = 0) -> AsyncIterator[str]:
    """Serve the control on 127.0.0.1 until the block ends; a relay's is ``<the URL>/<name>``."""
    runner = web.AppRunner(application(relays), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://127.0.0.1:{bound}/relays"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(config: RelaysConfig) -> AsyncIterator[tuple[Relay, ...]]:
    """Relay, and serve the control, until the block ends."""
    async with AsyncExitStack() as stack:
        relays = []
        for link in config.relays:
            target = Endpoint("127.0.0.1", link.target_port)
            context = relaying(link.name, target, port=link.port, shape=link.shape)
            relays.append(await stack.enter_async_context(context))
        await stack.enter_async_context(controlling(*relays, port=config.control_port))
        log.info("relaying %s", relays)
        yield tuple(relays)


def main() -> None:
    """``python -m cloud_core.relay_control --config FILE``."""
    about = "Runs TCP relays whose delay, bandwidth and cut can be set over HTTP."
    sys.exit(run("relay", about, sys.argv[1:], RelaysConfig, running))


if __name__ == "__main__":
    main()
