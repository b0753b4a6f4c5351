"""The same task, three wants, three outcomes; and the answer says why."""

import json

import pytest

from protocol.errors import NoCandidateError
from tests.integration.conftest import eventually, tiermesh

pytestmark = pytest.mark.mesh


def test_a_relaxed_want_is_served_at_the_cheapest_tier_by_a_small_variant(cloud, images):
    def how() -> tuple[str, str, bool]:
        result = cloud.ask("digits", images[0], latency_ms=1000)
        return result.tier, result.architecture, result.met

    # One stall of the machine in a run of microseconds makes a variant look dear for a moment.
    eventually(lambda: how() == ("edge", "mlp-tiny", True), "the small one at the edge")


def test_more_accuracy_than_the_small_one_has_raises_the_variant(cloud, images):
    result = cloud.ask("digits", images[0], latency_ms=1000, min_accuracy=0.95)
    assert (result.tier, result.architecture, result.met) == ("edge", "cnn-small", True)


def test_a_latency_that_the_far_edge_cannot_keep_is_served_near_by(cloud, images):
    cloud.ask("digits", images[0], latency_ms=20)
    result = cloud.ask("digits", images[0], latency_ms=20)
    assert result.tier == "cloud"


def test_an_edge_that_becomes_slow_loses_its_queries_to_another_tier(running, site, images):
    assert site.ask("digits", images[0], latency_ms=60).tier == "edge"
    running.reshape("edge-middle", delay_ms=300)
    try:
        eventually(
            lambda: site.ask("digits", images[0], latency_ms=60).tier == "middle",
            "queries leave the slowed edge",
        )
        eventually(
            lambda: site.ask("digits", images[0], latency_ms=2000).tier == "edge",
            "a want that it can keep still goes to the cheapest",
        )
    finally:
        running.reshape("edge-middle", delay_ms=2)
    eventually(
        lambda: site.ask("digits", images[0], latency_ms=60).tier == "edge",
        "queries come back to the edge",
    )


def test_the_answer_says_how_it_came_about(cloud, images):
    result = cloud.ask("digits", images[0], latency_ms=1000, explain=True)
    assert result.variant.startswith(result.architecture)
    assert result.node.startswith("edge-")
    assert result.site == "site-1"
    assert 0 < result.predicted_ms < 1000
    assert 0 < result.elapsed_ms < 1000
    assert 0 < result.cost_usd < 1e-6
    assert result.plan["ranked"][0]["tier"] == "edge"


def test_the_plan_gives_a_reason_for_each_candidate_that_is_out(site):
    plan = site.plan("digits", latency_ms=1000, min_accuracy=0.95)
    assert all(one["accuracy"] >= 0.95 for one in plan["ranked"])
    reasons = {(one["variant"], one["reason"]) for one in plan["rejected"]}
    assert ("mlp-tiny.onnx-fp32", "accuracy below the want's") in reasons
    assert all(reason for _, reason in reasons)


def test_nothing_can_be_asked_that_nothing_can_meet(site, images):
    with pytest.raises(NoCandidateError) as refused:
        site.ask("digits", images[0], min_accuracy=0.999)
    assert refused.value.hint


def test_the_command_prints_the_whole_answer(running, tmp_path, images):
    given = tmp_path / "seven.json"
    given.write_text(json.dumps(images[0].tolist()))
    run = tiermesh(
        "ask", "digits", "--input", given, "--min-accuracy", 0.95, "--latency-ms", 1000,
        "--dir", running.dir, "--json",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["parameters"]["architecture"] == "cnn-small"
    assert answer["outputs"][0]["shape"] == [1, 10]
