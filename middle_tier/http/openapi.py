"""Pure. The OpenAPI document, made from the routes that exist: it cannot say more or less."""

from collections.abc import Iterable

from middle_tier.http.wants import FIELDS
from middle_tier.http.webroutes import Route, Schema
from protocol.names import VARIANT_PATTERN
from protocol.types import ITEM_BYTES

_ERRORS = {
    400: "Malformed: says what was expected and what was got",
    401: "No token, or one that is not valid now",
    403: "The token does not cover this",
    404: "No such task, variant, architecture, node, site or tenant",
    409: "The same request id was used with another body, or the state does not allow it",
    413: "More bytes than the gate takes",
    429: "Over the tenant's budget of rate, concurrency or cost: Retry-After says how long",
    503: "Nothing can meet the want now: says what could",
    504: "The hard deadline passed: the query was dropped",
}


def document(routes: Iterable[Route], release: str) -> dict[str, object]:
    """Describe `routes`."""
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tiermesh gate",
            "version": release,
            "description": "A task is asked for with wants; the mesh chooses variant and place.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _operation(route: Route) -> dict[str, object]:
    doc = route.doc
    operation: dict[str, object] = {
        "operationId": _identifier(route),
        "summary": doc.summary,
        "tags": [doc.tag],
        "security": [] if route.open else [{"token": []}],
        "responses": _responses(route),
    }
    parameters = [_parameter(name) for name in _names(route.path)]
    parameters += [_queried(*each) for each in doc.query]
    if doc.takes == "InferRequest":
        parameters += _INFER_HEADERS
    if parameters:
        operation["parameters"] = parameters
    if doc.takes is not None:
        body = _reference(doc.takes) if isinstance(doc.takes, str) else doc.takes
        media = "application/yaml" if doc.takes == "PolicyText" else "application/json"
        content: Schema = {media: {"schema": body}}
        if doc.takes == "InferRequest":
            content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(route: Route) -> dict[str, object]:
    doc = route.doc
    gives = {"type": "object"} if doc.gives == "object" else doc.gives
    schema = _reference(gives) if isinstance(gives, str) else gives
    content: Schema = {doc.media: {"schema": schema}}
    if doc.gives == "InferResponse":
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    statuses = doc.errors if route.open else (401, 403, *doc.errors)
    return {
        "200": {"description": "Done", "content": content},
        **{str(status): _failure(status, route) for status in sorted(set(statuses))},
    }


def _failure(status: int, route: Route) -> dict[str, object]:
    plain = route.open or route.path.endswith("/ready")
    schema = {"type": "object"} if plain else _reference("Error")
    return {
        "description": _ERRORS[status],
        "content": {"application/json": {"schema": schema}},
    }


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _parameter(name: str) -> dict[str, object]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": VARIANT_PATTERN},
    }


def _identifier(route: Route) -> str:
    words = route.path.replace("{", "").replace("}", "").strip("/").replace("/", "_")
    return f"{route.method.lower()}_{words}".replace(".", "_")


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: tuple[str, ...], **properties: object) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _header(name: str, about: str) -> dict[str, object]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": about}


def _queried(name: str, kind: str, about: str) -> dict[str, object]:
    schema = {"type": kind}
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": about}


_INFER_HEADERS = [
    _header("Inference-Header-Content-Length", "Bytes of JSON before the binary tensors."),
    _header("Idempotency-Key", "Within a minute the same key is not run twice; like the id."),
    _header("traceparent", "W3C trace context."),
]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WANTS: Schema = {
    name: {**field.schema, "description": field.about} for name, field in FIELDS.items()
}
_AXES: Schema = _object(
    ("name", "datatype", "shape"),
    name=_TEXT,
    datatype={"type": "string", "enum": list(ITEM_BYTES)},
    shape={"type": "array", "items": {"type": "integer", "minimum": -1}},
)
_TENSOR: Schema = _object(
    ("name", "datatype", "shape"),
    name=_TEXT,
    datatype={"type": "string", "enum": list(ITEM_BYTES)},
    shape={"type": "array", "items": {"type": "integer", "minimum": 0}},
    data={"type": "array", "description": "Flat in row-major order, or nested as the shape."},
    parameters=_object((), binary_data_size={"type": "integer", "minimum": 0}),
)
_ANSWER: Schema = _object(
    ("variant", "architecture", "node", "site", "tier", "predicted_ms", "elapsed_ms", "met"),
    variant=_TEXT,
    architecture=_TEXT,
    node=_TEXT,
    site=_TEXT,
    tier={"type": "string", "enum": ["edge", "middle", "cloud"]},
    predicted_ms=_NUMBER,
    elapsed_ms=_NUMBER,
    cost_usd=_NUMBER,
    met={"type": "boolean"},
    plan=_reference("Plan"),
)
_SCHEMAS: Schema = {
    "Error": _object(("error", "reason", "hint"), error=_TEXT, reason=_TEXT, hint=_TEXT),
    "Server": _object(("name", "version", "extensions"), name=_TEXT, version=_TEXT),
    "Metadata": _object(
        ("name", "inputs", "outputs"),
        name=_TEXT,
        versions={"type": "array", "items": _TEXT},
        platform=_TEXT,
        inputs={"type": "array", "items": _AXES},
        outputs={"type": "array", "items": _AXES},
    ),
    "InferRequest": _object(
        ("inputs",),
        id={"type": "string", "minLength": 1, "maxLength": 128},
        parameters={"type": "object", "properties": _WANTS},
        inputs={"type": "array", "minItems": 1, "items": _TENSOR},
        outputs={"type": "array", "items": _object(("name",), name=_TEXT)},
    ),
    "InferResponse": _object(
        ("model_name", "outputs", "parameters"),
        model_name=_TEXT,
        model_version=_TEXT,
        id=_TEXT,
        parameters=_ANSWER,
        outputs={"type": "array", "items": _TENSOR},
    ),
    "PlanRequest": {
        "type": "object",
        "required": ["task"],
        "additionalProperties": False,
        "properties": {
            "task": _TEXT,
            "variant": {"type": "string", "pattern": VARIANT_PATTERN},
            "rows": {"type": "integer", "minimum": 1, "default": 1},
            **_WANTS,
        },
    },
    "PolicyText": {"type": "string", "description": "The document; see deploy/policy.yaml."},
    "Rollback": _object((), revision={"type": ["integer", "null"], "minimum": 1}),
    "Policy": _object(
        ("policy", "revision"),
        policy={"type": "object"},
        revision={"type": "integer", "minimum": 0},
        text=_TEXT,
        by=_TEXT,
        at={"type": ["number", "null"]},
        note=_TEXT,
        fault=_TEXT,
    ),
    "Plan": _object(
        ("task", "want", "ranked", "rejected", "counts"),
        task=_TEXT,
        want={"type": "object"},
        ranked={"type": "array", "items": {"type": "object"}},
        fallback={"type": "array", "items": {"type": "object"}},
        rejected={"type": "array", "items": {"type": "object"}},
        counts={"type": "object", "additionalProperties": {"type": "integer"}},
        fastest_ms={"type": ["number", "null"]},
        best_accuracy={"type": ["number", "null"]},
    ),
}
