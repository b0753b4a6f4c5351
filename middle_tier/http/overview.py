"""The mesh's own routes under ``/v1``: plan, tasks, nodes, sites, policy, usage. They read only."""

from collections import Counter

from aiohttp import web

from edge_agent.clock import Clock
from middle_tier.http.behind import Seeing, SiteSeen
from middle_tier.http.explained import explained
from middle_tier.http.inference import Inference, absent
from middle_tier.http.metrics import CONTENT_TYPE, Metrics
from middle_tier.http.models import distinct
from middle_tier.http.now import doing
from middle_tier.http.oip import Response, parsed
from middle_tier.http.policies import seen
from middle_tier.http.signature import Signature
from middle_tier.http.standards import permitted
from middle_tier.http.traffic import lately
from middle_tier.http.wants import FIELDS, with_defaults
from middle_tier.http.wants import read as read_wants
from middle_tier.http.webroutes import Doc, Route, json_response, read_body, text_response
from middle_tier.policy.kept import Ruled
from middle_tier.usage.shown import shown
from protocol.adverts import NodeStatus
from protocol.bundles import Task
from protocol.errors import BadRequestError
from protocol.messages import Query
from protocol.tokens import Claims

MAX_ROWS = 1 << 20


class Overview:
    """The routes under ``/v1``, and ``/metrics``."""

    def __init__(self, inference: Inference, clock: Clock) -> None:
        self._inference = inference
        self._gate = inference.gate
        self._router = inference.router
        self._clock = clock
        self._metrics = Metrics(inference.tally, self._health, lambda: self._router.counts)

    def routes(self) -> tuple[Route, ...]:
        tag = "mesh"
        plan = Doc("Dry run: the ranked candidates, and why each other one is out", tag)
        return (
            Route(
                "POST", "/v1/plan", self.plan,
                plan._replace(gives="Plan", takes="PlanRequest", errors=(400, 404, 413, 429)),
            ),
            Route("GET", "/v1/tasks", self.tasks, Doc("Tasks and their variants", tag)),
            Route(
                "GET", "/v1/nodes", self.nodes,
                Doc("Nodes of this gate's site; `runs`: predicted beside observed", tag),
            ),
            Route("GET", "/v1/sites", self.sites, Doc("Its own site, and those below it", tag)),
            Route("GET", "/v1/policy", self.policy, Doc("The policy in force", tag, "Policy")),
            Route(
                "GET", "/v1/usage", self.usage,
                Doc("Queries, cost and attainment, of this gate since it started", tag),
            ),
            Route(
                "GET", "/v1/now", self.now,
                Doc("What this gate is doing: by tier, what is under way, last decisions", tag),
            ),
            Route(
                "GET", "/v1/traffic", self.traffic,
                Doc("The last queries of this gate, and what could answer them: to replay", tag),
            ),
            Route(
                "GET", "/metrics", self.metrics,
                Doc("Prometheus text", "operation", {"type": "string"}, media="text/plain"),
            ),
        )  # fmt: skip

    async def plan(self, request: web.Request) -> Response:
        caller = self._gate.caller(request.headers.get("Authorization"))
        claims = caller.claims
        body = parsed(memoryview(await read_body(request)), _SHAPE)
        task = body.pop("task", None)
        if not isinstance(task, str):
            raise BadRequestError("the body names no task", _SHAPE)
        claims.demand("plan", task)
        caller.check()
        caller.begin()
        caller.end()
        signature = self._inference.reader(claims, task).signature
        query = self._query(claims, signature, body)
        missing = absent(query, self._router.view)
        if missing is not None:
            raise missing
        return json_response(explained(query.want, self._router.plan(self._router.demand(query))))

    def _query(self, claims: Claims, signature: Signature, body: dict[str, object]) -> Query:
        rows, variant = body.pop("rows", 1), body.pop("variant", None)
        if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MAX_ROWS:
            raise BadRequestError(
                "rows is not usable", f"rows is a whole number in [1, {MAX_ROWS}]"
            )
        if variant is not None and not isinstance(variant, str):
            raise BadRequestError("variant is not a string", "send the id of a variant")
        unknown = next((name for name in body if name not in FIELDS), None)
        if unknown is not None:
            raise BadRequestError(f"unknown field {unknown[:60]!r}", f"permitted are {_WANTS}")
        wanted = read_wants(signature.task.name, variant, body)
        wanted = with_defaults(wanted, self._router.policy.wants, claims.sub)
        return Query(
            id="plan",
            want=wanted.want,
            deadline_ms=wanted.deadline_ms,
            inputs=signature.blank(rows),
            tenant=claims.sub,
            tiers=claims.tiers,
        )

    async def tasks(self, request: web.Request) -> Response:
        claims = self._admit(request)
        view = self._router.view
        return json_response(
            {"tasks": [self._task(view.tasks[name]) for name in permitted(claims, view)]}
        )

    def _task(self, task: Task) -> dict[str, object]:
        hidden = {"task", "profile"}
        infos = distinct(self._router.view.variants(task.name))
        document = task.model_dump(mode="json")
        document["variants"] = [info.model_dump(mode="json", exclude=hidden) for info in infos]
        return document

    async def nodes(self, request: web.Request) -> Response:
        claims = self._admit(request)
        claims.demand("read")
        view = self._router.view
        nodes = view.nodes(self._clock.now())
        return json_response({"nodes": [seen_by(claims, view, status) for status in nodes]})

    async def sites(self, request: web.Request) -> Response:
        claims = self._admit(request)
        claims.demand("read")
        now, view = self._clock.now(), self._router.view
        own = _own_site(claims, self._router.site, view, now)
        below = [_site(claims, site) for site in view.sites(now)]
        return json_response({"sites": [own, *below]})

    async def policy(self, request: web.Request) -> Response:
        claims = self._admit(request)
        claims.demand("read")
        return json_response(seen(Ruled(policy=self._router.policy, text=""), claims))

    async def usage(self, request: web.Request) -> Response:
        claims = self._admit(request)
        claims.demand("read")
        tally = self._inference.tally
        scope = "this gate, since it started"
        return json_response(shown(claims, tally.used(), since=tally.started, scope=scope))

    async def now(self, request: web.Request) -> Response:
        claims = self._admit(request)
        claims.demand("read")
        return json_response(doing(self._router, self._inference.tally, claims))

    async def traffic(self, request: web.Request) -> Response:
        self._admit(request).demand("operate")
        asked = self._inference.tally.asked
        return json_response(lately(self._router, asked, self._clock.now()))

    async def metrics(self, request: web.Request) -> Response:
        self._admit(request).demand("operate")
        return text_response(self._metrics.text().decode(), CONTENT_TYPE)

    def _admit(self, request: web.Request) -> Claims:
        return self._gate.admit(request.headers.get("Authorization"))

    def _health(self) -> dict[str, int]:
        counts = {"alive": 0, "suspect": 0, "gone": 0}
        for status in self._router.view.nodes(self._clock.now()):
            counts[status.health] += 1
        return counts


def seen_by(claims: Claims, view: Seeing, status: NodeStatus) -> dict[str, object]:
    """A node as this caller may see it: without the variants of tasks that are not theirs."""
    document = status.model_dump(mode="json")
    if claims.tasks is None:
        return document
    own = {info.variant for task in permitted(claims, view) for info in view.variants(task)}
    document["advert"]["loaded"] = [
        line.model_dump(mode="json") for line in status.advert.loaded if line.variant in own
    ]
    document["variants"] = [name for name in status.variants if name in own]
    document["unable"] = {}
    document["runs"] = [run for run in document["runs"] if run["variant"] in own]
    return document


def _own_site(claims: Claims, site: str, view: Seeing, now: float) -> dict[str, object]:
    """Return this gate's site as the others are returned: no link is between it and itself."""
    alive = [node.advert.tier for node in view.nodes(now) if node.health == "alive"]
    tasks = {task for task in view.tasks if claims.tasks is None or task in claims.tasks}
    return {
        "site": site, "health": "alive", "silent_s": 0.0, "nodes": dict(Counter(alive)),
        "link_ms": 0.0, "mbps": None, "tasks": sorted(tasks),
    }  # fmt: skip


def _site(claims: Claims, site: SiteSeen) -> dict[str, object]:
    summary = site.summary
    tasks = (task.name for task in summary.tasks)
    return {
        "site": summary.site,
        "health": site.health,
        "silent_s": round(site.silent_s, 3),
        "nodes": summary.nodes,
        "link_ms": summary.link.ms[0],
        "mbps": summary.mbps,
        "tasks": sorted(t for t in tasks if claims.tasks is None or t in claims.tasks),
    }


_WANTS = ", ".join(("variant", "rows", *FIELDS))
_SHAPE = f'send {{"task": "..."}}, and what you want: {_WANTS}'
