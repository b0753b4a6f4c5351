"""One tenant against another, at the gate of a running process."""

import json

import pytest

from middle_tier.register import Tenant
from protocol.tokens import Budget
from tests.gateprocess import DIGITS, LANES, a_gate_process
from tests.middle_tier.http_parts import a_post

MARKER = "marker-5f1d"
"""Part of what no log, metric or error may show."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    tenants = (
        Tenant(name="acme"),
        Tenant(name="rival"),
        Tenant(name="warmer"),
        Tenant(name="elsewhere", tasks=("secret-task",)),
        Tenant(name="cloudy", tiers=("cloud",)),
        Tenant(name="slow", budget=Budget(queries_per_s=0.001)),
        Tenant(name="poor", budget=Budget(usd_per_day=0.0)),
        Tenant(name="broke", budget=Budget(usd_per_day=1e-18)),
        Tenant(name="operator", scopes=("read", "operate")),
    )
    with a_gate_process(tmp_path_factory.mktemp("gate"), *tenants) as running:
        yield running


@pytest.fixture(params=LANES)
def lane(request):
    return request.param


def names_nobody(body):
    text = body.decode()
    return not any(name in text for name in ("rival", "secret-task", "elsewhere", "cloudy"))


def test_another_tenants_task(gate, lane):
    token = gate.token(sub="acme", tasks=["other"])
    got = gate.ask(token, lane=lane)
    assert got.status == 403
    assert names_nobody(got.body)


def test_a_token_that_claims_more_tasks_than_its_tenant_may(gate, lane):
    got = gate.ask(gate.token(sub="elsewhere", tasks=["digits", "secret-task"]), lane=lane)
    assert got.status == 403


def test_a_task_that_does_not_exist_names_no_task_of_others(gate, lane):
    got = gate.ask(gate.token(), "/v2/models/secret-task/infer", lane)
    assert got.status == 404
    assert "elsewhere" not in got.body.decode()
    other = gate.ask(gate.token(sub="elsewhere"), "/v2/models/secret-task/infer", lane)
    assert other.status == 404
    assert "digits" not in other.body.decode()


@pytest.mark.parametrize("path", ["", "/config", "/stats", "/ready", "/versions/x"])
def test_what_describes_a_task_is_for_who_may_ask_it(gate, path):
    got = gate.get(f"/v2/models/digits{path}", gate.token(sub="elsewhere"))
    assert got.status in {403, 404}
    assert "mlp" not in got.body.decode()


@pytest.mark.parametrize("path", ["/v2/models", "/v1/tasks", "/v1/nodes", "/v1/sites"])
def test_lists_show_only_what_one_may_ask_for(gate, path):
    got = gate.get(path, gate.token(sub="elsewhere"))
    assert "digits" not in got.body.decode()
    assert "mlp" not in got.body.decode()


def test_a_tier_that_is_not_permitted(gate, lane):
    for token in (gate.token(sub="cloudy"), gate.token(tiers=["cloud"]), gate.token(tiers=[])):
        got = gate.ask(token, lane=lane)
        assert got.status == 503
        assert "tier" in json.dumps(got.json["rejected"]), got.json


def test_a_tier_that_is_not_permitted_is_no_part_of_a_plan(gate):
    body = json.dumps({"task": "digits", "latency_ms": 15_000}).encode()
    token = gate.token(sub="cloudy")
    got = gate.send(a_post("/v1/plan", body, f"Bearer {token}"))[0]
    assert got.json["ranked"] == []


def test_a_rate_that_is_used_up(gate, lane):
    token = gate.token(sub="slow", jti=f"slow-{lane}")
    statuses = [gate.ask(token, lane=lane).status for _ in range(3)]
    assert statuses[1:] == [429, 429]
    other = gate.ask(gate.token(sub="slow", jti="another-token"), lane=lane)
    assert other.status == 429
    assert int(other.headers["retry-after"]) > 1
    assert other.json["reason"] == "over_budget"


def test_a_budget_that_is_spent(gate, lane):
    assert gate.ask(gate.token(sub="poor"), lane=lane).status == 429
    statuses = [gate.ask(gate.token(sub="broke"), lane=lane).status for _ in range(2)]
    assert statuses[1] == 429
    assert gate.ask(gate.token(sub="acme"), lane=lane).status == 200


def test_another_tenants_idempotency_id(gate, lane):
    """The same id and the same body: neither gets the other's answer, nor learns that it was."""
    number = f"id-{lane}"
    first = gate.ask(gate.token(sub="acme"), lane=lane, id=number)
    again = gate.ask(gate.token(sub="acme"), lane=lane, id=number)
    assert again.body == first.body
    other = gate.ask(gate.token(sub="rival"), lane=lane, id=number)
    assert other.status == 200
    assert other.json["parameters"]["elapsed_ms"] != first.json["parameters"]["elapsed_ms"]
    changed = gate.ask(gate.token(sub="rival", jti="x"), lane=lane, id=number, parameters={})
    assert changed.status == 409
    assert names_nobody(changed.body.replace(b"rival", b""))


@pytest.mark.parametrize("scopes", [[], ["plan"], ["read"]])
def test_asking_without_the_scope(gate, lane, scopes):
    assert gate.ask(gate.token(scopes=scopes), lane=lane).status == 403


@pytest.mark.parametrize("path", ["/metrics", "/v1/usage", "/v1/nodes", "/v1/policy", "/v1/sites"])
def test_reading_without_the_scope(gate, path):
    assert gate.get(path, gate.token(scopes=["ask"])).status == 403


def test_recent_traffic_is_not_for_tenants(gate):
    assert gate.get("/v1/traffic", gate.token(scopes=["ask", "plan", "read"])).status == 403


def test_metrics_are_not_for_tenants_and_name_none(gate):
    assert gate.get("/metrics", gate.token()).status == 403
    got = gate.get("/metrics", gate.token(sub="operator", scopes=["operate"]))
    assert got.status == 200
    assert names_nobody(got.body)
    assert b"acme" not in got.body


def test_a_tenant_cannot_take_the_scope_to_operate(gate):
    """Signed by the mesh's own key, and still more than the tenant may."""
    assert gate.get("/metrics", gate.token(sub="acme", scopes=["operate"])).status == 403


def test_usage_shows_a_tenant_its_own_and_nobody_elses(gate):
    gate.ask(gate.token(sub="rival"))
    seen = gate.get("/v1/usage", gate.token(sub="acme")).json
    assert set(seen["tenants"]) <= {"acme"}
    asked = gate.get("/v1/usage?tenant=rival", gate.token(sub="acme")).json
    assert asked["tenants"] == {}
    everybody = gate.get("/v1/usage", gate.token(sub="operator", scopes=["read", "operate"])).json
    assert {"acme", "rival"} <= set(everybody["tenants"])


def test_nothing_sent_is_in_a_log_an_error_or_a_metric(gate, lane):
    """Marked payload, token, ids and wants: sent well and badly."""
    token = gate.token(jti=MARKER)
    bodies = (
        {"id": f"{MARKER}-id"},
        {"parameters": {"latency_ms": 15_000, MARKER: 1}},
        {"inputs": [{"name": MARKER, "datatype": "FP32", "shape": [1], "data": [1]}]},
        {"inputs": MARKER},
    )
    for body in bodies:
        gate.ask(token, lane=lane, **body)
    gate.send(a_post(DIGITS, MARKER.encode(), f"Bearer {token}"), lane)
    gate.send(a_post(DIGITS, b"{}", f"Bearer {MARKER}"), lane)
    refused = gate.send(a_post(DIGITS, b"{}", f"Bearer {MARKER}.{MARKER}.{MARKER}"), lane)
    assert MARKER not in refused[0].body.decode()
    metrics = gate.get("/metrics", gate.token(sub="operator", scopes=["operate"]))
    for place in (gate.log, metrics.body.decode()):
        assert MARKER not in place
        assert token.split(".")[1] not in place
        assert token.split(".")[2] not in place
