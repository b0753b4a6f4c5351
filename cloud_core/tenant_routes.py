"""The operator's routes for tenants, tokens and the audit log, at the cloud's gate."""

import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from cloud_core.audit.log import AuditLog
from cloud_core.tenants import MAX_LIFETIME_S, Tenants, Wanted
from middle_tier.gate import Gate
from middle_tier.http.oip import Response
from middle_tier.http.webroutes import Doc, Route, Schema, json_response, read_body
from middle_tier.register import Issued, Tenant
from protocol.errors import BadRequestError
from protocol.names import NAME_PATTERN
from protocol.tokens import Budget
from protocol.types import Wire

MAX_ENTRIES = 1000
TAG = "tenants"
WireT = TypeVar("WireT", bound=Wire)


class TenantRoutes:
    """Needs the scope `operate`, everywhere."""

    def __init__(self, tenants: Tenants, gate: Gate, audit: AuditLog | None) -> None:
        self._tenants = tenants
        self._gate = gate
        self._audit = audit

    def routes(self) -> tuple[Route, ...]:
        one, token = "/v1/tenants/{tenant}", "/v1/tokens/{id}"
        takes_tenant = Doc("Add a tenant", TAG, takes=_TENANT, errors=(400, 409))
        takes_token = Doc(
            "Issue a token: it is shown this once", TAG, takes=_WANTED, errors=(400, 404, 409)
        )
        takes_id = Doc("Take a token back", TAG, errors=(400, 404), query=(_UNLISTED,))
        return (
            Route("GET", "/v1/tenants", self.list_tenants, Doc("Who may ask", TAG)),
            Route("POST", "/v1/tenants", self.add, takes_tenant),
            Route("GET", one, self.show, Doc("One tenant", TAG, errors=(404,))),
            Route(
                "PUT", one, self.replace,
                Doc("Change what a tenant may", TAG, takes=_TENANT, errors=(400, 404)),
            ),
            Route("DELETE", one, self.remove, Doc("Remove a tenant", TAG, errors=(404, 409))),
            Route("GET", "/v1/tokens", self.list_tokens, Doc("Tokens issued", TAG)),
            Route("POST", "/v1/tokens", self.issue, takes_token),
            Route("DELETE", token, self.revoke, takes_id),
            Route(
                "GET", "/v1/audit", self.audit,
                Doc("Entries of the audit log after a number", "operation", errors=(400,)),
            ),
        )  # fmt: skip

    async def list_tenants(self, request: web.Request) -> Response:
        self._operator(request)
        return json_response({"tenants": [_shown(tenant) for tenant in self._tenants.tenants()]})

    async def show(self, request: web.Request) -> Response:
        self._operator(request)
        return json_response(_shown(self._tenants.tenant(request.match_info["tenant"])))

    async def add(self, request: web.Request) -> Response:
        by = self._operator(request)
        tenant = _read(Tenant, await read_body(request))
        await self._tenants.add(tenant, by)
        return json_response(_shown(tenant))

    async def replace(self, request: web.Request) -> Response:
        by = self._operator(request)
        tenant = _read(Tenant, await read_body(request))
        if tenant.name != request.match_info["tenant"]:
            raise BadRequestError("the body names another tenant", "a tenant keeps its name")
        await self._tenants.replace(tenant, by)
        return json_response(_shown(tenant))

    async def remove(self, request: web.Request) -> Response:
        by = self._operator(request)
        name = request.match_info["tenant"]
        await self._tenants.remove(name, by)
        return json_response({"tenant": name, "removed": True})

    async def list_tokens(self, request: web.Request) -> Response:
        self._operator(request)
        tokens = self._tenants.tokens(request.query.get("tenant"))
        return json_response({"tokens": [_shown(issued) for issued in tokens]})

    async def issue(self, request: web.Request) -> Response:
        by = self._operator(request)
        minted = await self._tenants.issue(_read(Wanted, await read_body(request)), by)
        return json_response({"token": minted.token, **_shown(minted.issued)})

    async def revoke(self, request: web.Request) -> Response:
        by = self._operator(request)
        token_id = request.match_info["id"]
        try:
            Issued(id=token_id, tenant="unknown")
        except ValidationError as error:
            raise BadRequestError("that is no id of a token", "see GET /v1/tokens") from error
        unlisted = request.query.get("unlisted") == "true"
        return json_response(_shown(await self._tenants.revoke(token_id, by, unlisted=unlisted)))

    async def audit(self, request: web.Request) -> Response:
        self._operator(request)
        after = _number(request.query.get("after", "0"), "after")
        limit = min(_number(request.query.get("limit", "100"), "limit"), MAX_ENTRIES)
        entries = self._audit.read(after, limit) if self._audit is not None else []
        return json_response({"entries": [entry._asdict() for entry in entries]})

    def _operator(self, request: web.Request) -> str:
        """Who orders it."""
        claims = self._gate.admit(request.headers.get("Authorization"))
        claims.demand("operate")
        return claims.sub


def _shown(document: Tenant | Issued) -> dict[str, object]:
    return document.model_dump(mode="json")


def _read(model: type[WireT], body: bytes) -> WireT:
    """Say which field is wrong, and no value that was sent: it may hold a secret.

    A field that nobody knows is refused here, though not in the bucket, where it is from a newer
    peer: mistyped by an operator it would be a limit that does not hold.
    """
    try:
        found = model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise BadRequestError(f"{place[:80]}: {first['msg'][:200]}", _SHAPES[model]) from error
    document = json.loads(body)
    _all_known(document, model.model_fields, "")
    _all_known(document.get("budget") or {}, Budget.model_fields, "budget.")
    return found


def _all_known(document: Mapping[str, object], known: Iterable[str], above: str) -> None:
    """Raises `BadRequestError`."""
    names = list(known)
    for field in document:
        if field not in names:
            raise BadRequestError(
                f"{above}{field[:80]}: there is no such field",
                f"there are {', '.join(above + name for name in names)}",
            )


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):  # noqa: PLR2004  # any count fits
        raise BadRequestError(f"{name} is not a number", f"send ?{name}=100")
    return int(text)


_SHAPES: dict[type[Wire], str] = {
    Tenant: 'send {"name": "acme", "tasks": null, "tiers": null, "budget": {"queries_per_s": 10}}',
    Wanted: 'send {"tenant": "acme", "scopes": ["ask"], "lifetime_s": 86400}',
}

_UNLISTED = ("unlisted", "boolean", "also one that GET /v1/tokens does not list")
_NAMES: Schema = {"type": ["array", "null"], "items": {"type": "string"}}
_MAY: Schema = {
    "scopes": {"type": "array", "items": {"enum": ["ask", "plan", "read", "operate"]}},
    "tasks": _NAMES,
    "tiers": {"type": ["array", "null"], "items": {"enum": ["edge", "middle", "cloud"]}},
    "budget": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "queries_per_s": {"type": ["number", "null"], "minimum": 0},
            "concurrency": {"type": ["integer", "null"], "minimum": 1},
            "usd_per_day": {"type": ["number", "null"], "minimum": 0},
        },
    },
}
_NAME: Schema = {"type": "string", "pattern": NAME_PATTERN}
_TENANT: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": _NAME, **_MAY,
        "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
        "note": {"type": "string", "maxLength": 200},
    },
}  # fmt: skip
_WANTED: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["tenant"],
    "properties": {
        "tenant": _NAME, **_MAY,
        "lifetime_s": {"type": "integer", "minimum": 1, "maximum": MAX_LIFETIME_S},
    },
}  # fmt: skip
