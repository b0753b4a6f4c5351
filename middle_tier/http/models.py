"""Open Inference Protocol's routes: server, health, tasks as models, statistics, inference."""

from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from edge_agent.clock import Clock
from middle_tier.http import oip
from middle_tier.http.call import Call
from middle_tier.http.fastlane import MAX_BODY_BYTES
from middle_tier.http.inference import Inference
from middle_tier.http.oip import Response
from middle_tier.http.pending import settled
from middle_tier.http.signature import Signature
from middle_tier.http.standards import permitted
from middle_tier.http.tally import Served
from middle_tier.http.webroutes import Doc, Route, json_response, read_body
from protocol.adverts import VariantInfo
from protocol.errors import UnknownError
from protocol.tokens import Claims

_MODEL = "/v2/models/{task}"
_VERSION = _MODEL + "/versions/{variant}"


class Models:
    """The routes under ``/v2``."""

    def __init__(self, inference: Inference, clock: Clock) -> None:
        self._inference = inference
        self._gate = inference.gate
        self._router = inference.router
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        tag = "Open Inference Protocol"
        ask = Doc(
            "Ask a task", tag, "InferResponse", "InferRequest", (400, 413, 409, 429, 503, 504)
        )
        of_model = [
            ("", self.metadata, Doc("A task's tensors and variants", tag, "Metadata")),
            ("/ready", self.model_ready, Doc("Whether anything can serve it now", tag)),
            ("/config", self.config, Doc("A task as a model configuration", tag)),
            ("/stats", self.stats, Doc("Answers of this gate since it started", tag)),
        ]
        return (
            Route("GET", "/v2", self.server, Doc("About this server", tag, "Server"), open=True),
            Route("GET", "/v2/health/live", _fine, Doc("Whether the gate runs", tag), open=True),
            Route(
                "GET", "/v2/health/ready", self.ready,
                Doc("Whether any task can be served", tag, errors=(503,)), open=True,
            ),
            Route("GET", "/healthz", _fine, Doc("Whether the gate runs", "operation"), open=True),
            Route(
                "GET", "/readyz", self.ready,
                Doc("Whether any task can be served", "operation", errors=(503,)), open=True,
            ),
            Route("GET", "/v2/models", self.models, Doc("The tasks that you may ask for", tag)),
            *(
                Route("GET", base + path, answer, doc._replace(errors=(404,)))
                for base in (_MODEL, _VERSION)
                for path, answer, doc in of_model
            ),
            Route("POST", _MODEL + "/infer", self.infer, ask._replace(errors=(404, *ask.errors))),
            Route("POST", _VERSION + "/infer", self.infer, ask._replace(errors=(404, *ask.errors))),
        )  # fmt: skip

    async def infer(self, request: web.Request) -> Response:
        headers = request.headers
        call = Call(
            task=request.match_info["task"],
            variant=request.match_info.get("variant"),
            authorization=headers.get("Authorization"),
            json_length=headers.get(oip.JSON_LENGTH),
            key=headers.get("Idempotency-Key"),
            traceparent=headers.get("traceparent"),
        )
        body = await read_body(request, MAX_BODY_BYTES)
        return await settled(self._inference.begin(call, body))

    async def server(self, _: web.Request) -> Response:
        return json_response(
            {
                "name": "tiermesh",
                "version": release(),
                "extensions": ["binary_tensor_data", "model_configuration", "statistics"],
            }
        )

    async def ready(self, _: web.Request) -> Response:
        """Ready when some task has a variant that somebody can run."""
        view = self._router.view
        if any(view.variants(task) for task in view.tasks):
            return json_response({"ready": True})
        return Response(503, (b'{"ready":false}',))

    async def models(self, request: web.Request) -> Response:
        claims = self._gate.admit(request.headers.get("Authorization"))
        view = self._router.view
        return json_response({"models": [{"name": name} for name in permitted(claims, view)]})

    async def metadata(self, request: web.Request) -> Response:
        signature, infos = self._known(request)
        return json_response(oip.metadata(signature.task, [info.variant for info in infos]))

    async def model_ready(self, request: web.Request) -> Response:
        signature, infos = self._known(request)
        if infos:
            return json_response({"name": signature.task.name, "ready": True})
        return Response(503, (b'{"ready":false}',))

    async def config(self, request: web.Request) -> Response:
        signature, infos = self._known(request)
        largest = max((info.max_batch for info in infos), default=1)
        return json_response(oip.configuration(signature.task, largest))

    async def stats(self, request: web.Request) -> Response:
        signature, infos = self._known(request)
        served = self._inference.tally.by_variant()
        name = signature.task.name
        return json_response(
            {
                "model_stats": [
                    _statistics(name, info.variant, served.get((name, info.variant)) or Served())
                    for info in infos
                ]
            }
        )

    def _known(self, request: web.Request) -> tuple[Signature, tuple[VariantInfo, ...]]:
        """The task that a path names, and its variants: all, or the one that it names."""
        claims: Claims = self._gate.admit(request.headers.get("Authorization"))
        task, variant = request.match_info["task"], request.match_info.get("variant")
        cover(claims, task)
        signature = self._inference.reader(claims, task).signature
        infos = distinct(self._router.view.variants(task))
        if variant is None:
            return signature, infos
        chosen = tuple(info for info in infos if info.variant == variant)
        if not chosen:
            names = ", ".join(info.variant for info in infos) or "none now"
            raise UnknownError(f"{task} has no variant {variant[:130]!r}", f"it has {names}")
        return signature, chosen


def cover(claims: Claims, task: str) -> None:
    """Raise `ForbiddenError` unless the token covers `task`, whatever its scopes."""
    claims.demand(claims.scopes[0] if claims.scopes else "read", task)


def distinct(infos: tuple[VariantInfo, ...]) -> tuple[VariantInfo, ...]:
    """One line per variant: several kinds of nodes may offer the same."""
    return tuple({info.variant: info for info in infos}.values())


def release() -> str:
    """The installed version of the distribution."""
    try:
        return version("tiermesh")
    except PackageNotFoundError:
        return "0"


async def _fine(_: web.Request) -> Response:
    return json_response({"live": True})


def _statistics(task: str, variant: str, served: Served) -> dict[str, object]:
    """As OIP's statistics extension writes it, for what a gate can know."""
    total_ns, run_ns = int(served.elapsed_ms * 1e6), int(served.run_ms * 1e6)
    return {
        "name": task,
        "version": variant,
        "inference_count": served.rows,
        "execution_count": served.answers,
        "inference_stats": {
            "success": {"count": served.answers, "ns": total_ns},
            "fail": {"count": 0, "ns": 0},
            "queue": {"count": served.answers, "ns": max(0, total_ns - run_ns)},
            "compute_infer": {"count": served.answers, "ns": run_ns},
        },
    }
