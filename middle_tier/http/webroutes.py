"""What an HTTP route is: where, what answers there, how errors go out, how OpenAPI tells of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from aiohttp import HttpVersion11, web
from msgspec.structs import replace

from middle_tier.http import oip
from middle_tier.http.inference import incident
from middle_tier.http.oip import Response
from protocol.errors import BadRequestError, MeshError

MAX_JSON_BYTES = 1 << 20
"""Bodies of every route but inference."""

Schema = dict[str, object]


class Doc(NamedTuple):
    """How OpenAPI describes a route."""

    summary: str
    tag: str
    gives: Schema | str = "object"
    """Schema of the answer, or the name of one in `openapi`."""
    takes: Schema | str | None = None
    """Schema of the body, or the name of one in `openapi`."""
    errors: tuple[int, ...] = ()
    query: tuple[tuple[str, str, str], ...] = ()
    """Parameters after the ``?``: name, type, and what for."""
    media: str = oip.JSON


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """As aiohttp and OpenAPI both write it: ``/v2/models/{task}``."""
    answer: Callable[[web.Request], Awaitable[Response]]
    doc: Doc
    open: bool = field(default=False)
    """Needs no token."""

    def definition(self) -> web.RouteDef:
        """The route as aiohttp takes it."""

        async def carried(request: web.Request) -> web.StreamResponse:
            try:
                return as_web(await self.answer(request))
            except MeshError as error:
                failure = as_web(oip.failure(error))
                if request.content.exception() is not None:
                    failure.force_close()  # where the next request would begin is not known
                return failure
            except web.HTTPException:
                raise
            except Exception as error:  # noqa: BLE001  # the border: callers get an incident's id
                return as_web(incident(error))

        return web.route(self.method, self.path, carried, expect_handler=_expected)


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """Tell the client to go on, or that what it expects is nothing of ours."""
    expected = request.headers["Expect"]
    if request.version < HttpVersion11:
        return None
    if expected.lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun
        return None
    error = BadRequestError(f"nothing here meets Expect: {expected[:40]}", "leave Expect out")
    return as_web(replace(oip.failure(error), status=417))


def as_web(response: Response) -> web.Response:
    """Our response as aiohttp sends it."""
    headers = {"Content-Type": response.content_type, **dict(response.headers)}
    return web.Response(status=response.status, body=b"".join(response.body), headers=headers)


def json_response(document: object) -> Response:
    """A document as an answer."""
    return Response(200, (orjson.dumps(document),))


def text_response(text: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(200, (text.encode(),), content_type)


async def read_body(request: web.Request, limit: int = MAX_JSON_BYTES) -> bytes:
    """Return the whole (decompressed) body; raise `TooLargeError` without reading all of it."""
    if (request.content_length or 0) > limit:
        raise oip.too_large(request.content_length or 0, limit)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.content.iter_any():
            size += len(part)
            if size > limit:
                raise oip.too_large(size, limit)
            parts.append(part)
    except web.RequestPayloadError as error:
        raise BadRequestError(
            "the body cannot be read", "check its Content-Length and Content-Encoding"
        ) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
