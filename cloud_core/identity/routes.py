"""The operator's routes for identities: who is enrolled, tokens to enrol with, taking one out."""

from aiohttp import web
from pydantic import ValidationError

from cloud_core.identity.registry import Registry, TokenWanted
from cloud_core.identity.states import Event
from middle_tier.gate import Gate
from middle_tier.http.oip import Response
from middle_tier.http.webroutes import Doc, Route, json_response, read_body
from protocol.errors import BadRequestError
from protocol.names import check_name
from protocol.types import fault

TAG = "identities"
EVENTS: dict[Event, str] = {
    "approve": "Let a device join, or come back from quarantine",
    "reject": "Refuse a device that asked to join",
    "quarantine": "Disconnect a device until somebody has looked into it",
    "revoke": "Disconnect a device for good, wherever it is connected",
}


class IdentityRoutes:
    """Needs the scope `operate`, everywhere."""

    def __init__(self, registry: Registry, gate: Gate) -> None:
        self._registry = registry
        self._gate = gate

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/identities", self.list_, Doc("Who is enrolled", TAG)),
            Route(
                "POST", "/v1/identities/tokens", self.issue,
                Doc("Make an enrolment token: it is shown this once", TAG, errors=(400, 409)),
            ),
            *(
                Route(
                    "POST", f"/v1/identities/{{site}}/{{node}}/{event}", self.change,
                    Doc(about, TAG, errors=(400, 404, 409)),
                )
                for event, about in EVENTS.items()
            ),
        )  # fmt: skip

    async def list_(self, request: web.Request) -> Response:
        self._operator(request)
        found = [one.model_dump(exclude={"token"}) for one in self._registry.identities]
        return json_response({"identities": found})

    async def issue(self, request: web.Request) -> Response:
        by = self._operator(request)
        try:
            wanted = TokenWanted.model_validate_json(await read_body(request))
        except ValidationError as error:
            raise BadRequestError(f"not a token's description: {fault(error)}") from error
        return json_response({"token": await self._registry.issue(wanted, by)})

    async def change(self, request: web.Request) -> Response:
        by = self._operator(request)
        site = check_name(request.match_info["site"], "site")
        node = check_name(request.match_info["node"], "node")
        word = request.path.rsplit("/", 1)[1]
        event = next(event for event in EVENTS if event == word)
        changed = await self._registry.change(site, node, event, by)
        return json_response(changed.model_dump(exclude={"token"}))

    def _operator(self, request: web.Request) -> str:
        claims = self._gate.admit(request.headers.get("Authorization"))
        claims.demand("operate")
        return claims.sub
