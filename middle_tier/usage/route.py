"""`GET /v1/usage` from the ledger: what it shows is kept through a restart."""

import asyncio

from aiohttp import web

from middle_tier.gate import Gate
from middle_tier.http.oip import Response
from middle_tier.http.webroutes import Doc, Route, json_response
from middle_tier.usage.metering import Meter
from middle_tier.usage.shown import documents, shown


class UsageRoute:
    """Of one gate; the cloud's shows the whole mesh, as far as it has been told."""

    def __init__(self, meter: Meter, gate: Gate, *, scope: str) -> None:
        self._meter = meter
        self._gate = gate
        self._scope = scope

    def routes(self) -> tuple[Route, ...]:
        about = f"Queries, cost and attainment by tenant: {self._scope}"
        return (Route("GET", "/v1/usage", self.usage, Doc(about, "mesh")),)

    async def usage(self, request: web.Request) -> Response:
        """Everything, and of it what is today's; of one tenant with ``?tenant=``."""
        claims = self._gate.admit(request.headers.get("Authorization"))
        claims.demand("read")
        await self._meter.look()
        ledger = self._meter.ledger
        used = await asyncio.to_thread(ledger.totals)
        today = await asyncio.to_thread(ledger.totals, self._meter.today)
        tenant = request.query.get("tenant")
        if tenant is not None:
            used = {name: one for name, one in used.items() if name == tenant}
            today = {name: one for name, one in today.items() if name == tenant}
        document = shown(claims, used, since=ledger.since, scope=self._scope)
        waiting = await asyncio.to_thread(ledger.waiting)
        return json_response({**document, "today": documents(claims, today), "untold": waiting})
