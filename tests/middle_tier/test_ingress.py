"""All other routes of a gate: what they say, to whom, and that OpenAPI says exactly the same."""

import asyncio
import gzip
import json

import pytest
from openapi_spec_validator import validate

from edge_agent.clock import ManualClock
from middle_tier.gate import Gate
from middle_tier.http.inference import Inference
from middle_tier.http.ingress import all_routes, application
from middle_tier.http.replay import Replays
from middle_tier.http.tally import REMEMBERED, Tally
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import Wire, a_body, a_post, a_served, a_token, an_inference

OPEN = ["/v2", "/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/openapi.json"]


async def got(path, method="GET", body=None, *, router=None, asked=0, **token):
    """One answer, after `asked` inferences on the same gate."""
    clock = ManualClock()
    async with a_served(router or EchoRouter(), clock) as (url, mine), Wire(url) as wire:
        for _ in range(asked):
            await wire.ask(an_inference(token=mine))
        given = token.pop("token", a_token(clock, **token))
        if method == "POST":
            return await wire.ask(a_post(path, json.dumps(body).encode(), given))
        line = f"Authorization: {given}\r\n" if given else ""
        return await wire.ask(f"{method} {path} HTTP/1.1\r\nHost: g\r\n{line}\r\n".encode())


async def test_openapi_is_valid_and_says_of_every_route_and_of_no_other():
    described = (await got("/openapi.json", token=None)).json
    validate(described)
    said = {
        (method.upper(), path)
        for path, operations in described["paths"].items()
        for method in operations
    }
    clock = ManualClock()
    async with asyncio.TaskGroup() as tasks:
        inference = Inference(
            EchoRouter(), Gate({}, clock), clock, Replays(clock, tasks), Tally(0.0)
        )
        app = application(all_routes(inference, clock))
    real = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD"
    }
    assert said == real


async def test_every_route_that_openapi_calls_closed_asks_for_a_token():
    described = (await got("/openapi.json", token=None)).json
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            real = path.replace("{task}", "double").replace("{variant}", "small-fp32")
            answer = await got(real, method.upper(), {}, token=None)
            assert (answer.status == 401) is bool(operation["security"]), path
            assert ("401" in operation["responses"]) is bool(operation["security"]), path


@pytest.mark.parametrize("path", OPEN)
async def test_health_and_descriptions_need_no_token(path):
    assert (await got(path, token=None)).status == 200


async def test_not_ready_before_anything_can_be_served():
    router = EchoRouter()
    router.view.tasks = {}
    for path in ("/v2/health/ready", "/readyz"):
        assert (await got(path, router=router)).status == 503


@pytest.mark.parametrize("path", ["/nope", "/v2/models/double/nope", "/v1", "/"])
async def test_an_unknown_route_is_404(path):
    answer = await got(path)
    assert (answer.status, answer.json["reason"]) == (404, "unknown")


async def test_a_wrong_method_is_405_and_says_the_right_one():
    answer = await got("/v2/models/double/infer")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json["hint"] == "use POST"


async def test_metadata_of_a_task_and_of_a_variant():
    answer = await got("/v2/models/double")
    assert answer.json["versions"] == ["small-fp32", "large-int8"]
    assert answer.json["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    answer = await got("/v2/models/double/versions/large-int8")
    assert answer.json["versions"] == ["large-int8"]
    answer = await got("/v2/models/double/versions/none")
    assert (answer.status, "small-fp32" in answer.json["hint"]) == (404, True)


async def test_a_tenant_sees_the_tasks_of_its_token_only():
    for path in ("/v2/models", "/v1/tasks"):
        answer = await got(path)
        assert b"double" in answer.body
        assert b"secret" not in answer.body
    assert (await got("/v2/models/secret")).status == 403
    assert b"secret" not in (await got("/v2/models/nope", tasks=["nope"])).body


async def test_statistics_count_what_was_answered():
    answer = await got("/v2/models/double/versions/small-fp32/stats", asked=3)
    (line,) = answer.json["model_stats"]
    assert line["inference_stats"]["success"]["count"] == 3


async def test_a_plan_is_made_without_asking():
    router = EchoRouter()
    body = {"task": "double", "rows": 3, "latency_ms": 5, "variant": "small-fp32"}
    answer = await got("/v1/plan", "POST", body, router=router)
    assert answer.json["want"]["latency_ms"] == 5
    assert answer.json["ranked"][0]["node"] == "n1"
    assert answer.json["rejected"][0]["reason"] == "too slow"
    assert router.queries == []


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "names no task"),
        ({"task": "double", "rows": 0}, 400, "rows is not usable"),
        ({"task": "double", "latency": 3}, 400, "unknown field 'latency'"),
        ({"task": "double", "percentile": 100}, 400, "percentile"),
        ({"task": "double", "variant": "none"}, 404, "no variant 'none'"),
        ({"task": "double", "architecture": "none"}, 404, "no architecture 'none'"),
        ({"task": "secret"}, 403, "does not cover"),
        ({"task": "../x"}, 403, "does not cover"),
        ([], 400, "not a JSON object"),
    ],
)
async def test_a_bad_plan_is_refused(body, status, said):
    answer = await got("/v1/plan", "POST", body)
    assert (answer.status, said in answer.json["error"]) == (status, True)


async def test_a_plan_for_a_name_that_no_task_can_have_is_404():
    answer = await got("/v1/plan", "POST", {"task": "../x"}, tasks=None)
    assert (answer.status, answer.json["reason"]) == (404, "unknown")


async def test_usage_is_the_tenants_own_and_all_for_an_operator():
    answer = await got("/v1/usage", asked=2)
    assert answer.json["tenants"]["acme"]["queries"] == 2
    assert answer.json["tenants"]["acme"]["attainment"] == 1.0
    assert (await got("/v1/usage", asked=2, sub="other")).json["tenants"] == {}
    answer = await got("/v1/usage", asked=2, sub="root", scopes=["read", "operate"])
    assert list(answer.json["tenants"]) == ["acme"]


async def test_metrics_are_for_operators_and_name_no_tenant():
    assert (await got("/metrics")).status == 403
    answer = await got("/metrics", asked=2, scopes=["operate"])
    text = answer.body.decode()
    assert 'tiermesh_queries_total{outcome="met",task="double",tier="edge"} 2.0' in text
    assert 'tiermesh_elapsed_ms_count{task="double",tier="edge"} 2.0' in text
    assert 'tiermesh_nodes{health="alive"} 1.0' in text
    assert "acme" not in text


async def test_metrics_count_second_thoughts():
    router = EchoRouter(counts={"hedged": 3})
    text = (await got("/metrics", router=router, scopes=["operate"])).body.decode()
    assert "tiermesh_hedged_total 3.0" in text
    assert "tiermesh_escalated_total 0.0" in text


async def test_recent_traffic_is_for_operators_and_carries_no_payload():
    assert (await got("/v1/traffic", asked=3)).status == 403
    answer = await got("/v1/traffic", asked=3, scopes=["operate"])
    (kind,) = answer.json["kinds"]
    assert (kind["tenant"], kind["want"]["task"], kind["rows"]) == ("acme", "double", 1)
    assert [number for _, number in answer.json["asked"]] == [0, 0, 0]
    assert [site["site"] for site in answer.json["sites"]] == ["s1"]
    assert b'"data"' not in answer.body


def test_of_many_queries_only_the_last_are_remembered():
    tally = Tally(0.0)
    for number in range(REMEMBERED + 10):
        tally.asked.append((float(number), None))
    assert (len(tally.asked), tally.asked[0][0]) == (REMEMBERED, 10.0)


async def test_nodes_sites_and_policy_need_the_scope_to_read():
    for path in ("/v1/nodes", "/v1/sites", "/v1/policy", "/v1/usage"):
        assert (await got(path)).status == 200
        assert (await got(path, scopes=["ask"])).status == 403


async def test_a_compressed_request_is_read_up_to_the_limit():
    async with a_served(EchoRouter()) as (url, token), Wire(url) as wire:
        packed = gzip.compress(a_body())
        request = a_post("/v2/models/double/infer", packed, token, Content_Encoding="gzip")
        assert (await wire.ask(request)).status == 200
    async with a_served(EchoRouter()) as (url, token), Wire(url) as wire:
        bomb = gzip.compress(bytes(65 << 20), 9)
        request = a_post("/v2/models/double/infer", bomb, token, Content_Encoding="gzip")
        assert (await wire.ask(request)).status == 413
    async with a_served(EchoRouter()) as (url, token), Wire(url) as wire:
        request = a_post("/v2/models/double/infer", b"not gzip", token, Content_Encoding="gzip")
        assert (await wire.ask(request)).status == 400


async def test_what_the_block_raises_comes_out_as_it_is():
    with pytest.raises(ZeroDivisionError):
        async with a_served(EchoRouter()):
            raise ZeroDivisionError
