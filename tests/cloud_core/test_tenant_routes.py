"""The operator's routes over HTTP: who may, what is said of a bad body, what OpenAPI tells."""

import asyncio
import json

import aiohttp
import pytest
from openapi_spec_validator import validate

from cloud_core.audit.log import AuditLog
from cloud_core.cli.main import run
from cloud_core.issuer import SigningKey
from cloud_core.tenant_routes import TenantRoutes
from cloud_core.tenants import Tenants, Wanted
from edge_agent.bus.memorykv import MemoryBuckets
from edge_agent.clock import ManualClock
from middle_tier.gate import Gate, read_keys
from middle_tier.http.ingress import serving
from middle_tier.register import READY, Register, Tenant
from tests.middle_tier.echo import EchoRouter


class Front:
    """A gate with the operator's routes, and a session of the operator's."""

    def __init__(self, folder):
        clock, self.register = ManualClock(), Register()
        key = SigningKey.kept(folder / "signing.pem")
        audit = AuditLog(folder / "audit.jsonl", clock)
        bucket = MemoryBuckets().at("tenants")
        self.tenants = Tenants(bucket, self.register, audit, clock, key=key)
        self.gate = Gate(read_keys(key.gate_keys().encode()), clock, register=self.register)
        self.routes = TenantRoutes(self.tenants, self.gate, audit).routes()
        self.serving = serving(EchoRouter(), self.gate, clock=clock, extra_routes=self.routes)

    async def __aenter__(self):
        operator = Tenant(name="operator", scopes=("read", "operate"))
        await self.tenants.found((operator, Tenant(name="acme")), ())
        self.register.put(READY, b"{}")
        self.url = await self.serving.__aenter__()
        self.token = (await self.tenants.issue(Wanted(tenant="operator"), "test")).token
        self.http = aiohttp.ClientSession(self.url)
        return self

    async def __aexit__(self, *error):
        await self.http.close()
        await self.serving.__aexit__(*error)

    async def ask(self, method, path, body=None, token=None):
        """Status and document."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with self.http.request(method, path, data=data, headers=headers) as answer:
            return answer.status, await answer.json()


async def test_a_tenant_is_added_changed_shown_and_removed(tmp_path):
    async with Front(tmp_path) as front:
        body = {"name": "new", "budget": {"queries_per_s": 5}, "tiers": ["edge"]}
        assert (await front.ask("POST", "/v1/tenants", body))[0] == 200
        assert (await front.ask("POST", "/v1/tenants", body))[0] == 409
        assert (await front.ask("PUT", "/v1/tenants/new", {"name": "new"}))[0] == 200
        assert (await front.ask("PUT", "/v1/tenants/new", {"name": "other"}))[0] == 400
        status, shown = await front.ask("GET", "/v1/tenants/new")
        assert (status, shown["tiers"]) == (200, None)
        assert (await front.ask("DELETE", "/v1/tenants/new"))[0] == 200
        assert (await front.ask("GET", "/v1/tenants/new"))[0] == 404


async def test_a_token_is_issued_listed_and_revoked(tmp_path):
    async with Front(tmp_path) as front:
        status, issued = await front.ask("POST", "/v1/tokens", {"tenant": "acme"})
        assert status == 200
        assert front.gate.admit(f"Bearer {issued['token']}").sub == "acme"
        _, listed = await front.ask("GET", "/v1/tokens?tenant=acme")
        assert [one["id"] for one in listed["tokens"]] == [issued["id"]]
        assert "token" not in listed["tokens"][0]
        assert (await front.ask("DELETE", f"/v1/tokens/{issued['id']}"))[0] == 200
        status, _ = await front.ask("GET", "/v1/tenants", token=issued["token"])
        assert status == 401
        assert (await front.ask("DELETE", "/v1/tokens/not%20an%20id"))[0] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tenants"), ("POST", "/v1/tenants"), ("GET", "/v1/tenants/acme"),
        ("PUT", "/v1/tenants/acme"), ("DELETE", "/v1/tenants/acme"), ("GET", "/v1/tokens"),
        ("POST", "/v1/tokens"), ("DELETE", "/v1/tokens/x"), ("GET", "/v1/audit"),
    ],
)  # fmt: skip
async def test_every_one_needs_the_scope_to_operate(tmp_path, method, path):
    async with Front(tmp_path) as front:
        token = (await front.tenants.issue(Wanted(tenant="acme"), "test")).token
        body = None if method in {"GET", "DELETE"} else {"name": "acme", "tenant": "acme"}
        assert (await front.ask(method, path, body, token))[0] == 403
        assert (await front.ask(method, path, body, "nonsense"))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", {"name": "Not A Name"}, {"name": "x", "tiers": ["moon"]},
        {"name": "x", "budget": {"concurrency": 0}}, {"name": "x", "share": -1}, {},
    ],
    ids=range(8),
)  # fmt: skip
async def test_a_bad_body_is_told_what_is_wrong_and_never_repeated(tmp_path, body):
    async with Front(tmp_path) as front:
        status, said = await front.ask("POST", "/v1/tenants", body)
        assert status == 400
        assert "acme" in said["hint"]


@pytest.mark.parametrize(
    ("path", "body", "named", "known"),
    [
        ("/v1/tenants", {"name": "x", "bugdet": {"concurrency": 1}}, "bugdet", "budget"),
        ("/v1/tenants", {"name": "x", "budget": {"qps": 1}}, "budget.qps", "budget.queries_per_s"),
        ("/v1/tokens", {"tenant": "acme", "task": ["digits"]}, "task", "tasks"),
        ("/v1/tokens", {"tenant": "acme", "budget": {"usd": 1}}, "budget.usd", "usd_per_day"),
    ],
)
async def test_a_mistyped_limit_is_refused_and_not_left_out(tmp_path, path, body, named, known):
    async with Front(tmp_path) as front:
        before = [len(front.tenants.tenants()), len(front.tenants.tokens())]
        status, said = await front.ask("POST", path, body)
        assert status == 400
        assert said["error"].startswith(f"{named}: ")
        assert known in said["hint"]
        assert [len(front.tenants.tenants()), len(front.tenants.tokens())] == before


async def test_changing_a_tenant_refuses_a_mistyped_limit_too(tmp_path):
    async with Front(tmp_path) as front:
        body = {"name": "acme", "tier": ["edge"]}
        assert (await front.ask("PUT", "/v1/tenants/acme", body))[0] == 400


async def test_what_a_newer_cloud_wrote_in_the_bucket_is_still_read():
    register = Register()
    register.put("tenant.acme", b'{"name": "acme", "newer": 1, "budget": {"newer": 2}}')
    assert register.tenants["acme"] == Tenant(name="acme")


async def test_an_id_that_no_token_has_is_not_said_to_be_revoked(tmp_path):
    async with Front(tmp_path) as front:
        status, said = await front.ask("DELETE", "/v1/tokens/nope")
        assert status == 404
        assert "tiermesh tokens list" in said["hint"]
        assert (await front.ask("DELETE", "/v1/tokens/nope?unlisted=true"))[0] == 200
        _, issued = await front.ask("POST", "/v1/tokens", {"tenant": "acme"})
        status, revoked = await front.ask("DELETE", f"/v1/tokens/{issued['id'].upper()}")
        assert (status, revoked["id"]) == (200, issued["id"])


async def test_the_command_fails_for_an_unknown_id_unless_that_is_meant(tmp_path, capsys):
    async with Front(tmp_path) as front:
        command = ["tokens", "revoke", "nope", "--url", front.url, "--token", front.token]
        assert await asyncio.to_thread(run, command, {}) == 1
        assert "--unlisted" in capsys.readouterr().err
        assert await asyncio.to_thread(run, [*command, "--unlisted"], {}) == 0
        assert "revoked: nope" in capsys.readouterr().out


async def test_the_audit_log_is_read_in_pages(tmp_path):
    async with Front(tmp_path) as front:
        _, first = await front.ask("GET", "/v1/audit?limit=2")
        assert [entry["n"] for entry in first["entries"]] == [1, 2]
        _, rest = await front.ask("GET", "/v1/audit?after=2")
        assert [entry["kind"] for entry in rest["entries"]] == ["token-issue"]
        assert (await front.ask("GET", "/v1/audit?after=x"))[0] == 400


async def test_openapi_tells_of_all_of_it_and_is_valid(tmp_path):
    async with Front(tmp_path) as front, front.http.get("/openapi.json") as answer:
        document = await answer.json()
    validate(document)
    assert {route.path for route in front.routes} <= set(document["paths"])
