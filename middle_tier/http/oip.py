"""Pure. Open Inference Protocol v2 over REST: requests in, responses out, model metadata.

JSON and the binary tensor extension. A task is a model, a variant its version. What the tensors
must be is in `signature`, what the parameters mean in `wants`, how it travels in `ingress`.
"""

import json
import re
from functools import lru_cache
from typing import NamedTuple

import msgspec
import orjson

from middle_tier.http.signature import Signature, describe
from middle_tier.http.wants import read as read_wants
from protocol.bundles import Task
from protocol.codec import Bytes
from protocol.errors import BadRequestError, MeshError, TooLargeError
from protocol.types import Axes

JSON_LENGTH = "Inference-Header-Content-Length"
"""The header that says where the JSON ends and the binary tensors begin."""

JSON = "application/json"
BINARY = "application/octet-stream"

MAX_LENIENT_BYTES = 1 << 20
"""A body of bad JSON is read a second time, to say what is wrong with it, up to this size."""


class Request(NamedTuple):
    """An inference request, not yet checked against a task."""

    id: str | None
    parameters: dict[str, object]
    inputs: object
    outputs: object
    tail: memoryview
    """The binary tensors, one after the other."""


class Output(NamedTuple):
    """An output that is to be sent, and how."""

    name: str
    binary: bool


class Response(msgspec.Struct, frozen=True):
    """What goes back over HTTP, for every route and both lanes."""

    status: int
    body: tuple[Bytes, ...]
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def read(body: bytes | bytearray | memoryview, json_length: str | None) -> Request:
    """Take a body apart; raise `BadRequestError` when it is not an inference request."""
    view = memoryview(body)
    end = len(view) if json_length is None else length(json_length, len(view))
    document = parsed(view[:end], _SHAPE)
    request_id, parameters = document.get("id"), document.get("parameters")
    if request_id is not None:
        request_id = check_id(request_id)
    if parameters is None:
        parameters = {}
    elif not isinstance(parameters, dict):
        raise BadRequestError("parameters is not an object", 'send {"latency_ms": 30, ...}')
    inputs, outputs = document.get("inputs"), document.get("outputs")
    return Request(request_id, parameters, inputs, outputs, view[end:])


def check_id(value: object) -> str:
    """Return a request's id, or raise `BadRequestError`."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise BadRequestError(
        "the request's id is not usable", "an id is 1 to 128 printable ASCII characters"
    )


def wanted_outputs(request: Request, signature: Signature) -> tuple[Output, ...]:
    """Return which outputs to send, and how: all, as JSON, unless the request says otherwise."""
    binary = request.parameters.get("binary_data_output") is True
    if request.outputs is None or request.outputs == []:
        return tuple(Output(name, binary) for name in signature.outputs)
    if not isinstance(request.outputs, list):
        raise BadRequestError("outputs is not a list", f"this task gives {_gives(signature)}")
    wanted = tuple(_output(item, signature, Output("", binary)) for item in request.outputs)
    if len({output.name for output in wanted}) < len(wanted):
        raise BadRequestError("an output is asked for twice", "name each output once")
    return wanted


def _output(item: object, signature: Signature, default: Output) -> Output:
    name = item.get("name") if isinstance(item, dict) else None
    if not (isinstance(item, dict) and isinstance(name, str) and name in signature.outputs):
        raise BadRequestError(
            f"{signature.task.name} gives no output {str(name)[:60]!r}",
            f"it gives {_gives(signature)}",
        )
    parameters = item.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequestError(
            f"output {name!r} has bad parameters", 'send "parameters": {"binary_data": true}'
        )
    for unable in ("classification", "shared_memory_region"):
        if parameters.get(unable):
            raise BadRequestError(f"{unable} is not supported", f"leave it out for output {name!r}")
    binary = parameters.get("binary_data", default.binary)
    if not isinstance(binary, bool):
        raise BadRequestError(
            f"binary_data of output {name!r} is not true or false", "leave it out for JSON"
        )
    return Output(name, binary)


def failure(error: MeshError) -> Response:
    """The same shape for every error of every route."""
    body = orjson.dumps(error.body())
    return Response(error.status, (body,), JSON, tuple(error.headers().items()))


def too_large(nbytes: int, limit: int) -> TooLargeError:
    return TooLargeError(
        f"a body of {nbytes} bytes", f"at most {limit} bytes; send fewer rows at a time"
    )


def metadata(task: Task, versions: list[str]) -> dict[str, object]:
    """A task as OIP describes a model."""
    return {
        "name": task.name,
        "versions": versions,
        "platform": "tiermesh",
        "inputs": [_axes(axes) for axes in task.inputs],
        "outputs": [_axes(axes) for axes in task.outputs],
    }


def configuration(task: Task, max_batch: int) -> dict[str, object]:
    """A task as Triton's model configuration extension describes a model."""
    return {
        "name": task.name,
        "platform": "tiermesh",
        "backend": "tiermesh",
        "max_batch_size": max_batch,
        "input": [_configured(axes) for axes in task.inputs],
        "output": [_configured(axes) for axes in task.outputs],
    }


def _axes(axes: Axes) -> dict[str, object]:
    return {"name": axes.name, "datatype": axes.datatype, "shape": list(axes.shape)}


def _configured(axes: Axes) -> dict[str, object]:
    """Dimensions without the batch, types with a prefix: the extension's way."""
    return {
        "name": axes.name,
        "data_type": f"TYPE_{axes.datatype}",
        "dims": list(axes.shape[1:]) or [1],
    }


@lru_cache(4096)
def length(text: str, total: int) -> int:
    """Return how much of a body of `total` bytes is JSON, as its header says."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= total):  # noqa: PLR2004  # more digits than any body
        raise BadRequestError(
            f"{JSON_LENGTH} is {text[:20]!r}, the body has {total} bytes",
            "it is the length of the JSON at the body's beginning",
        )
    return int(text)


def parsed(data: memoryview, shape: str) -> dict[str, object]:
    """Return a body's JSON object; raise `BadRequestError` that says what is wrong with it."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _bad_json(data, error, shape) from error
    if not isinstance(document, dict):
        raise BadRequestError("the body is not a JSON object", shape)
    return document


def _bad_json(data: memoryview, error: orjson.JSONDecodeError, shape: str) -> BadRequestError:
    """Say what is wrong; where it is NaN or Infinity in a want, the want's own error says it."""
    if len(data) <= MAX_LENIENT_BYTES:
        try:
            document = json.loads(str(data, "utf-8"))
        except (ValueError, RecursionError):
            pass
        else:
            return _not_finite(document)
    return BadRequestError(
        f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", shape
    )


def _not_finite(document: object) -> BadRequestError:
    parameters = document.get("parameters", document) if isinstance(document, dict) else None
    if isinstance(parameters, dict):
        try:
            read_wants("task", None, parameters)
        except BadRequestError as error:
            return error
    return BadRequestError(
        "the body has NaN or Infinity, or a number that is too long",
        "JSON has neither: send such tensors as binary data",
    )


def _gives(signature: Signature) -> str:
    return ", ".join(describe(axes) for axes in signature.task.outputs)


_ID = re.compile(r"[\x20-\x7e]{1,128}")
_SHAPE = (
    'send {"inputs": [{"name", "datatype", "shape", "data"}], "parameters": {...}}; where binary '
    f"tensors follow it, {JSON_LENGTH} says its length"
)
