"""The policy of a running mesh: applied, it moves queries at every gate; bad, it moves nothing."""

import json
import time

import pytest

from tests.integration.conftest import eventually, tiermesh

pytestmark = pytest.mark.mesh

WITHIN_S = 2.0
"""An applied policy reaches every gate in this time."""


@pytest.fixture
def command(running, tmp_path):
    """Run `tiermesh policy ...` against the mesh; what it prints as JSON, or its failure."""

    def run(verb, text=None, *options):
        arguments = [verb]
        if text is not None:
            path = tmp_path / "policy.yaml"
            path.write_text(text)
            arguments.append(path)
        done = tiermesh("policy", *arguments, *options, "--dir", running.dir, "--json")
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture(autouse=True)
def _as_it_was(command):
    """Leave the defaults behind, whatever happens: the mesh is shared."""
    yield
    code, made = command("apply", "# the defaults\n", "--note", "after a test")
    assert code == 0, made


def tiers(*gates, images):
    return {gate.ask("digits", images[0], latency_ms=1000).tier for gate in gates}


def test_forbidding_the_edge_moves_queries_within_two_seconds_at_both_gates(
    command, site, cloud, images
):
    assert tiers(site, cloud, images=images) == {"edge"}
    task = "permit: [{task: digits, tiers: [middle, cloud]}]\n"
    code, made = command("apply", task, "--note", "no edge")
    applied = time.monotonic()
    assert code == 0, made
    eventually(
        lambda: "edge" not in tiers(site, cloud, images=images), "queries leave the edge", 10
    )
    moved_s = time.monotonic() - applied
    assert moved_s < WITHIN_S, f"it took {moved_s:.2f} s"
    assert "edge" not in tiers(*[site, cloud] * 5, images=images)
    reasons = {one["reason"] for one in site.plan("digits", latency_ms=1000)["rejected"]}
    assert "tier not permitted by the policy for this tenant and task" in reasons
    code, made = command("rollback")
    assert code == 0, made
    eventually(lambda: tiers(site, cloud, images=images) == {"edge"}, "they come back", 10)


def test_what_if_replays_what_the_gates_were_asked_and_applies_nothing(
    command, site, cloud, images
):
    for gate in [site, cloud] * 40:
        gate.ask("digits", images[0], latency_ms=1000)
    task = "permit: [{task: digits, tiers: [middle, cloud]}]\n"
    code, said = command("apply", task, "--what-if")
    assert code == 0, said
    now, then = said["what_if"]["now"], said["what_if"]["then"]
    assert now["queries"] == then["queries"] >= 80
    assert now["tier_share"]["edge"] > 0.5
    assert then["tier_share"]["edge"] == 0.0
    assert tiers(site, cloud, images=images) == {"edge"}


def test_a_bad_policy_is_refused_with_its_line_and_the_old_one_stays(command, site, cloud):
    command("apply", "tries: 3\n")
    for gate in (site, cloud):
        eventually(lambda gate=gate: gate.policy()["policy"]["tries"] == 3, "tries are 3", 10)
    code, said = command("apply", "tries: 3\nheadroom: 7\n")
    assert code == 1
    assert [(fault["line"], fault["field"]) for fault in said["faults"]] == [(2, "headroom")]
    assert [gate.policy()["policy"]["headroom"] for gate in (site, cloud)] == [0.9, 0.9]


def test_history_tells_who_applied_what_and_diff_what_would_change(command):
    _, first = command("apply", "tries: 5\n", "--note", "one more")
    _, second = command("apply", "tries: 6\n")
    _, history = command("history")
    newest = history["revisions"][-2:]
    assert [one["revision"] for one in newest] == [first["revision"], second["revision"]]
    assert newest[0]["note"] == "one more"
    code, refused = command("apply", "tries: 7\n", "--expected", first["revision"])
    assert (code, refused["reason"]) == (1, "conflict")
    _, diff = command("diff", "tries: 8\n")
    assert diff["changes"] == [{"field": "tries", "old": 6, "new": 8}]


def test_a_site_keeps_its_last_while_it_is_cut_off(command, running, site, images):
    command("apply", "permit: [{task: digits, tiers: [middle]}]\n")
    eventually(lambda: tiers(site, images=images) == {"middle"}, "only the middle answers", 10)
    running.reshape("middle-cloud", cut=True)
    try:
        command("apply", "# the defaults\n")
        for _ in range(20):
            assert tiers(site, images=images) == {"middle"}
    finally:
        running.reshape("middle-cloud", cut=False)
    eventually(lambda: tiers(site, images=images) == {"edge"}, "it hears of the new one")


def test_a_document_is_checked_by_the_mesh_that_is_named(command, tmp_path):
    assert command("check", "headroom: 0.8\n")[1]["ok"]
    code, failed = command("check", "headrom: 0.8\n")
    assert (code, failed["reason"]) == (1, "malformed")
    (tmp_path / "good.yaml").write_text("headroom: 0.8\n")
    nowhere = tiermesh("policy", "check", tmp_path / "good.yaml", "--dir", tmp_path)
    assert (nowhere.returncode, "no mesh is running" in nowhere.stderr) == (1, True)
    assert tiermesh("policy", "check", tmp_path / "good.yaml").returncode == 0
