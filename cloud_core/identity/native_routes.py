"""The operator's routes for tenants' own accounts of NATS."""

from aiohttp import web
from pydantic import ValidationError

from cloud_core.identity.natives import Natives
from middle_tier.gate import Gate
from middle_tier.http.oip import Response
from middle_tier.http.webroutes import Doc, Route, Schema, json_response, read_body
from middle_tier.register import AccountKey
from protocol.errors import BadRequestError
from protocol.names import check_name
from protocol.subjects import ACCOUNT_PATTERN
from protocol.types import Wire, fault


class NativeWanted(Wire):
    """Public keys of the account that is to be a tenant's."""

    account: AccountKey
    signing: AccountKey


_KEY: Schema = {"type": "string", "pattern": ACCOUNT_PATTERN}
_TAKES: Schema = {
    "type": "object",
    "required": ["account", "signing"],
    "properties": {"account": _KEY, "signing": _KEY},
}


class NativeRoutes:
    """Needs the scope `operate`, everywhere."""

    def __init__(self, natives: Natives, gate: Gate) -> None:
        self._natives = natives
        self._gate = gate

    def routes(self) -> tuple[Route, ...]:
        path = "/v1/tenants/{tenant}/account"
        return (
            Route(
                "PUT", path, self.give,
                Doc(
                    "Let a tenant connect to NATS with this account, in place of the one it had",
                    "tenants", takes=_TAKES, errors=(400, 404, 409),
                ),
            ),
            Route("DELETE", path, self.end, Doc("Disconnect a tenant's account", "tenants")),
        )  # fmt: skip

    async def give(self, request: web.Request) -> Response:
        by = self._operator(request)
        try:
            wanted = NativeWanted.model_validate_json(await read_body(request))
        except ValidationError as error:
            raise BadRequestError(f"not an account's keys: {fault(error)}") from error
        tenant = check_name(request.match_info["tenant"], "tenant")
        native = await self._natives.give(tenant, wanted.account, wanted.signing, by)
        return json_response(native.model_dump(mode="json"))

    async def end(self, request: web.Request) -> Response:
        by = self._operator(request)
        tenant = check_name(request.match_info["tenant"], "tenant")
        return json_response({"tenant": tenant, "ended": await self._natives.end(tenant, by)})

    def _operator(self, request: web.Request) -> str:
        claims = self._gate.admit(request.headers.get("Authorization"))
        claims.demand("operate")
        return claims.sub
