"""The policy's routes, at every gate: seen, applied, rolled back. A document is YAML text."""

from typing import Any

from aiohttp import web

from middle_tier.gate import Gate
from middle_tier.http.oip import Response
from middle_tier.http.webroutes import Doc, Route, json_response, read_body
from middle_tier.policy.document import MAX_BYTES, changes, read
from middle_tier.policy.kept import Policies, Ruled
from middle_tier.scheduler.types import Policy
from protocol.errors import BadRequestError, ForbiddenError
from protocol.tokens import Claims, Scope

PRIVATE = {"permit", "wants"}
"""Rules that name tenants: for operators only."""


class PolicyRoutes:
    """``/v1/policy`` and what lies below it."""

    def __init__(self, policies: Policies, gate: Gate, *, top: bool) -> None:
        self._policies = policies
        self._gate = gate
        self._top = top
        """Only the topmost site may change what all go by."""

    def routes(self) -> tuple[Route, ...]:
        tag, path = "policy", "/v1/policy"
        applied = Doc("Put a document into force at every gate", tag, takes="PolicyText")
        checked = Doc("Check a document, and say what it would change", tag, takes="PolicyText")
        back = Doc("Put an earlier revision into force again", tag, takes="Rollback")
        return (
            Route("GET", path, self.show, Doc("The policy in force", tag, "Policy")),
            Route(
                "PUT", path, self.apply,
                applied._replace(gives="Policy", errors=(400, 403, 409, 413, 503), query=_APPLYING),
            ),
            Route("POST", f"{path}/check", self.check, checked._replace(errors=(400, 413))),
            Route(
                "GET", f"{path}/history", self.history,
                Doc("Its revisions, oldest first, and which is in force here", tag, errors=(503,)),
            ),
            Route(
                "POST", f"{path}/rollback", self.rollback,
                back._replace(gives="Policy", errors=(400, 403, 404, 409, 503)),
            ),
        )  # fmt: skip

    async def show(self, request: web.Request) -> Response:
        claims = self._admit(request, "read")
        return json_response(seen(self._policies.ruled, claims, self._policies.fault))

    async def apply(self, request: web.Request) -> Response:
        claims = self._changing(request)
        expected = request.query.get("expected")
        if expected is not None and not expected.isdecimal():
            raise BadRequestError(f"expected is {expected[:20]!r}", "give the number of a revision")
        ruled = await self._policies.apply(
            await _text(request), claims.sub,
            expected=None if expected is None else int(expected),
            note=request.query.get("note", ""),
        )  # fmt: skip
        return json_response(seen(ruled, claims))

    async def check(self, request: web.Request) -> Response:
        self._admit(request, "operate")
        now = self._policies.ruled
        new = read(await _text(request))
        return json_response(
            {
                "revision": now.revision,
                "policy": new.model_dump(mode="json"),
                "changes": differing(now.policy, new),
            }
        )

    async def history(self, request: web.Request) -> Response:
        claims = self._admit(request, "operate")
        history = await self._policies.history()
        return json_response(
            {
                "in_force": self._policies.ruled.revision,
                "revisions": [seen(each, claims) for each in history],
            }
        )

    async def rollback(self, request: web.Request) -> Response:
        claims = self._changing(request)
        revision = await _revision(request)
        return json_response(seen(await self._policies.rollback(revision, claims.sub), claims))

    def _changing(self, request: web.Request) -> Claims:
        claims = self._admit(request, "operate")
        if not self._top:
            raise ForbiddenError(
                "this is a site's gate: the policy is everybody's", "ask the cloud's gate"
            )
        return claims

    def _admit(self, request: web.Request, scope: Scope) -> Claims:
        claims = self._gate.admit(request.headers.get("Authorization"))
        claims.demand(scope)
        return claims


def seen(ruled: Ruled, claims: Claims, fault: str = "") -> dict[str, object]:
    """A policy as this caller may see it: who is no operator sees no rules that name tenants."""
    operator = "operate" in claims.scopes
    document = ruled.model_dump(mode="json", exclude=set() if operator else {"text", "by", "note"})
    if not operator:
        document["policy"] = ruled.policy.model_dump(mode="json", exclude=PRIVATE)
    elif fault:
        document["fault"] = fault
    return document


def differing(old: Policy, new: Policy) -> list[dict[str, object]]:
    return [
        {"field": field, "old": before, "new": after} for field, before, after in changes(old, new)
    ]


async def _text(request: web.Request) -> str:
    try:
        return (await read_body(request, MAX_BYTES)).decode()
    except UnicodeDecodeError as error:
        raise BadRequestError("the policy is not UTF-8", "save it as UTF-8 text") from error


async def _revision(request: web.Request) -> int | None:
    hint = 'send {"revision": 7}, or {} for the one before'
    try:
        body: Any = await request.json()
    except ValueError as error:
        raise BadRequestError("the body is not JSON", hint) from error
    revision = body.get("revision") if isinstance(body, dict) else body
    if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
        raise BadRequestError("revision is not a number", hint)
    return revision


_APPLYING = (
    ("expected", "integer", "Refuse when the newest revision is another; 0: none was applied yet."),
    ("note", "string", "Kept beside it in the history."),
)
