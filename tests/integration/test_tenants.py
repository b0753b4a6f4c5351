"""Tenants of a running mesh: let in everywhere, counted once, out within two seconds."""

import json
import time

import pytest

from middle_tier.client import Mesh
from protocol.errors import OverBudgetError, UnauthenticatedError
from tests.integration.conftest import eventually, tiermesh

pytestmark = pytest.mark.mesh


def operator(running, *arguments):
    """Run a command as the operator; return what it printed."""
    run = tiermesh(*arguments, "--dir", running.dir, "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def a_tenant(running, name, *rights):
    """A token of a new tenant."""
    operator(running, "tenants", "add", name, *rights)
    return operator(running, "tokens", "issue", name)


def asked(running, site, token, image, **wants):
    with Mesh(running.gate(site), token) as mesh:
        return mesh.ask("digits", image, **{"latency_ms": 5000, **wants})


def admitted(running, site, token, image):
    """Whether the gate lets it in."""
    try:
        asked(running, site, token, image)
    except UnauthenticatedError:
        return False
    return True


def used(running, tenant):
    """How many queries of a tenant the cloud knows of."""
    found = operator(running, "usage", "--tenant", tenant)["tenants"].get(tenant)
    return found["queries"] if found else 0


def test_a_tenant_is_let_in_at_every_gate_and_out_within_two_seconds(running, images):
    issued = a_tenant(running, "brief")
    for site in ("site-1", "cloud"):
        eventually(lambda site=site: admitted(running, site, issued["token"], images[0]), site)
    before = time.monotonic()
    operator(running, "tokens", "revoke", issued["id"])
    command_s = time.monotonic() - before
    eventually(lambda: not admitted(running, "site-1", issued["token"], images[0]), "it is out")
    assert time.monotonic() - before - command_s < 2.0
    assert not admitted(running, "cloud", issued["token"], images[0])


def test_a_site_that_is_cut_off_still_knows_who_may_and_counts_it_once(running, images):
    token = a_tenant(running, "loyal")["token"]
    gone = a_tenant(running, "gone-before")
    operator(running, "tenants", "remove", "gone-before")
    eventually(lambda: admitted(running, "site-1", token, images[0]), "it is let in")
    eventually(lambda: not admitted(running, "site-1", gone["token"], images[0]), "it is out")
    eventually(lambda: used(running, "loyal"), "its first query is counted")
    before = used(running, "loyal")
    running.reshape("middle-cloud", cut=True)
    try:
        for number in range(7):
            asked(running, "site-1", token, images[number])
        assert not admitted(running, "site-1", gone["token"], images[0])
        with pytest.raises(UnauthenticatedError):
            asked(running, "site-1", token[:-4] + "AAAA", images[0])
    finally:
        running.reshape("middle-cloud", cut=False)
    eventually(lambda: used(running, "loyal") == before + 7, "the cloud has been told")
    time.sleep(3)  # what comes twice would come by now
    assert used(running, "loyal") == before + 7


def test_tiers_and_budgets_bind_at_a_site_as_at_the_cloud(running, images):
    token = a_tenant(running, "narrow", "--tier", "middle", "--rate", 3)["token"]
    eventually(lambda: admitted(running, "site-1", token, images[0]), "it is let in")
    time.sleep(1.2)
    assert asked(running, "site-1", token, images[0]).tier == "middle"
    with pytest.raises(OverBudgetError, match="3 queries a second"):
        [asked(running, "site-1", token, images[0]) for _ in range(30)]


def test_a_tenant_orders_nothing(running):
    token = (running.dir / "tokens" / "demo").read_text().strip()
    for order in (("tenants", "list"), ("tokens", "issue", "operator"), ("audit", "show")):
        run = tiermesh(*order, "--dir", running.dir, "--token", token)
        assert run.returncode == 1
        assert "operate" in run.stderr


def test_what_operators_did_is_in_the_audit_log_and_it_holds(running):
    operator(running, "tenants", "add", "audited")
    operator(running, "tenants", "remove", "audited")
    entries = operator(running, "audit", "show")["entries"]
    own = [one["kind"] for one in entries if one["fields"].get("tenant") == "audited"]
    assert own == ["tenant-add", "tenant-remove"]
    checked = operator(running, "audit", "verify")
    assert checked["holds"]
    assert operator(running, "audit", "verify", "--head", checked["head"])["holds"]
    short = tiermesh("audit", "verify", "--head", f"999999:{'0' * 64}", "--dir", running.dir)
    assert short.returncode == 1


def test_a_lost_operator_token_is_minted_anew(running):
    fresh = operator(running, "tokens", "issue", "operator", "--local")
    listed = tiermesh("tenants", "list", "--dir", running.dir, "--token", fresh["token"], "--json")
    assert listed.returncode == 0
    kinds = [entry["kind"] for entry in operator(running, "audit", "show")["entries"]]
    assert "token-issue-local" in kinds


def test_no_token_and_no_payload_is_in_any_log_of_the_mesh(running, images):
    """Marked ones, sent well and badly, through both gates; every log of every process is read."""
    marked = a_tenant(running, "marked")
    eventually(lambda: admitted(running, "site-1", marked["token"], images[0]), "it is let in")
    image = images[0].copy()
    image[0, 0] = 1234.5678
    for site in ("site-1", "cloud"):
        asked(running, site, marked["token"], image, id="marker-of-a-request")
        with pytest.raises(UnauthenticatedError):
            asked(running, site, marked["token"][:-3] + "xyz", image)
    secrets = ["marker-of-a-request", "1234.56"]
    for token in (running.document["token"], marked["token"]):
        secrets += [part[:40] for part in token.split(".")[1:]]
    logs = [*sorted((running.dir / "logs").iterdir()), running.dir / "audit" / "log.jsonl"]
    for log in logs:
        text = log.read_text(errors="replace")
        assert not [secret[:12] for secret in secrets if secret in text], log.name
