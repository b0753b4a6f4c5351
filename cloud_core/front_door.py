"""The operator's routes of the cloud's gate: nodes of all sites, and orders to them.

They stand beside every gate's own (`middle_tier.http.ingress`); what is asked of other sites, and
how, is `federation`'s.
"""

from typing import Protocol

from aiohttp import web

from middle_tier.gate import Gate
from middle_tier.http.oip import Response
from middle_tier.http.overview import seen_by
from middle_tier.http.webroutes import Doc, Route, json_response
from middle_tier.router import Router
from protocol.adverts import NodeStatus
from protocol.errors import ConflictError
from protocol.messages import Done
from protocol.names import check_name
from protocol.tokens import Claims


class Counted(Protocol):
    """A census: the nodes that could be asked about, and the sites that did not answer."""

    @property
    def nodes(self) -> tuple[NodeStatus, ...]: ...

    @property
    def silent(self) -> tuple[str, ...]: ...


class Federated(Protocol):
    """What the front door needs of a federation."""

    async def census(self) -> Counted: ...

    async def order(self, site: str, node: str, verb: str, variant: str | None = None) -> Done: ...


class FrontDoor:
    """The routes that only the cloud's gate has."""

    def __init__(self, federation: Federated, router: Router, gate: Gate) -> None:
        self._federation = federation
        self._router = router
        self._gate = gate

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/nodes", self.nodes, Doc("Nodes of every site", "mesh")),
            *(
                Route(
                    "POST", f"/v1/nodes/{{site}}/{{node}}/{verb}", self.order,
                    Doc(about, "operation", errors=(400, 404, 409)),
                )
                for verb, about in _VERBS.items()
            ),
        )  # fmt: skip

    async def nodes(self, request: web.Request) -> Response:
        """Sites that did not answer are named: what is missing must not look like nothing."""
        claims = self._admit(request)
        claims.demand("read")
        census = await self._federation.census()
        view = self._router.view
        return json_response(
            {
                "nodes": [seen_by(claims, view, status) for status in census.nodes],
                "silent": list(census.silent),
            }
        )

    async def order(self, request: web.Request) -> Response:
        self._admit(request).demand("operate")
        site = check_name(request.match_info["site"], "site")
        node = check_name(request.match_info["node"], "node")
        verb = request.path.rsplit("/", 1)[1]
        done = await self._federation.order(site, node, verb)
        if not done.ok:
            raise ConflictError(
                f"{node} in {site} did not {verb}: {done.detail}", "see GET /v1/nodes"
            )
        return json_response({"site": site, "node": node, "order": verb, "detail": done.detail})

    def _admit(self, request: web.Request) -> Claims:
        return self._gate.admit(request.headers.get("Authorization"))


def routes(federation: Federated, router: Router, gate: Gate) -> tuple[Route, ...]:
    """The operator's routes, for `middle_tier.http.ingress.serving`."""
    return FrontDoor(federation, router, gate).routes()


_VERBS = {
    "drain": "Let a node finish what it has and take no more",
    "resume": "Let a drained node take queries again",
}
