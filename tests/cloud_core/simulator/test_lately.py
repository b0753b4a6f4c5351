"""What gates say of themselves, replayed: where queries run, and what that costs, by a policy."""

import pytest

from cloud_core.simulator.lately import LEAST, Traffic, replay
from cloud_core.simulator.policies.replayed import outcome
from middle_tier.scheduler.types import Policy
from protocol.errors import BadRequestError

STILL = {"ms": (0, 0, 0, 0, 0)}
HOUR_MS = 3_600_000


def an_offer(variant, tier, ms, usd_per_hour, *, nodes=1, warm=True):
    profile = {"load_ms": 100, "memory_bytes": 1000, "runs": {1: {"ms": [ms] * 5}}}
    info = {
        "variant": variant, "task": "digits", "architecture": variant, "format": "onnx",
        "precision": "fp32", "accuracy": 0.9, "max_batch": 1, "size_bytes": 1,
        "profile": profile,
    }  # fmt: skip
    return {
        "info": info, "hardware": f"board-{tier}", "tier": tier, "warm": warm, "nodes": nodes,
        "queue_ms": 0, "link": STILL, "mbps": 1000, "price": {"usd_per_hour": usd_per_hour},
    }  # fmt: skip


def a_site(name, *offers, rtt_ms=0.0):
    link = {"ms": [rtt_ms] * 5}
    return {"site": name, "boot": "b", "sequence": 1, "link": link, "offers": offers}


CLOUD = a_site("cloud", an_offer("net", "cloud", 2, 3.6))
SITE = a_site("site-1", an_offer("net", "edge", 10, 0.36, nodes=2), rtt_ms=20)


def a_gate(site="cloud", *, sites=(CLOUD, SITE), queries=100, tenants=("acme",), **want):
    """A query every 100 ms, of each tenant in turn."""
    kinds = [
        {"want": {"task": "digits", "latency_ms": 100, **want}, "tenant": each, "in_bytes": 1000}
        for each in tenants
    ]
    asked = [(10.0 + 0.1 * (queries - n), n % len(kinds)) for n in range(queries)]
    return Traffic.model_validate({"site": site, "kinds": kinds, "asked": asked, "sites": sites})


def figures(*gates, **policy):
    return outcome(replay(gates, Policy.model_validate(policy))).figures


def test_what_was_asked_runs_where_the_policy_has_it_cheapest():
    now = figures(a_gate())
    assert (now.queries, now.met, now.tier_share["edge"]) == (100, 100, 1.0)
    assert now.cost_usd == pytest.approx(100 * 10 * 0.36 / HOUR_MS)
    then = figures(a_gate(), tiers=["cloud"])
    assert (then.met, then.tier_share["cloud"]) == (100, 1.0)
    assert then.cost_usd == pytest.approx(100 * 2 * 3.6 / HOUR_MS)


def test_what_is_warm_there_is_warm_at_the_start():
    assert figures(a_gate()).cold_starts == 0
    cold = a_site("cloud", an_offer("net", "cloud", 2, 3.6, warm=False))
    assert figures(a_gate(sites=(cold,)), on_miss="fastest").cold_starts == 1


def test_a_sites_own_queries_start_there_and_go_up_when_they_must():
    site = a_gate("site-1", sites=())
    both = figures(a_gate(), site)
    assert (both.queries, both.tier_share["edge"]) == (200, 1.0)
    alone = figures(a_gate(queries=0), site, permit=[{"tiers": ["cloud"]}])
    assert (alone.queries, alone.met, alone.tier_share["cloud"]) == (100, 100, 1.0)
    kept = figures(a_gate(queries=0), site, permit=[{"tiers": ["cloud"], "leave_site": False}])
    assert (kept.answered, kept.refused) == (0, 100)


def test_a_permit_binds_whom_it_names():
    share = figures(
        a_gate(tenants=("acme", "rival")), permit=[{"tenant": "acme", "tiers": ["cloud"]}]
    ).tier_share
    assert (share["edge"], share["cloud"]) == (0.5, 0.5)


def test_a_policys_prices_bill_and_choose():
    dear = [{"hardware": "board-edge", "usd_per_hour": 36.0}]
    then = figures(a_gate(), prices=dear)
    assert then.tier_share["cloud"] == 1.0
    forced = figures(a_gate(), prices=dear, tiers=["edge"])
    assert forced.cost_usd == pytest.approx(100 * 10 * 36.0 / HOUR_MS)


def test_bytes_over_a_priced_border_are_billed():
    then = figures(a_gate("site-1", sites=(SITE,)), usd_per_gb={"edge-middle": 1.0})
    free = figures(a_gate("site-1", sites=(SITE,)))
    assert then.cost_usd == pytest.approx(free.cost_usd)  # it enters beside the boards
    low = a_site("site-1", an_offer("net", "edge", 10, 0.36), an_offer("big", "middle", 90, 0.36))
    then = figures(a_gate("site-1", sites=(low,)), usd_per_gb={"edge-middle": 1.0})
    assert then.cost_usd > free.cost_usd


def test_the_same_traffic_gives_the_same_figures():
    one, other = figures(a_gate()), figures(a_gate())
    assert one.as_dict() | {"decision_us": 0} == other.as_dict() | {"decision_us": 0}


def test_too_few_queries_say_nothing_and_old_ones_do_not_count():
    old = a_gate(queries=LEAST)
    old = old.model_copy(update={"asked": tuple((1e6, kind) for _, kind in old.asked)})
    for gate in (a_gate(queries=LEAST - 1), old):
        with pytest.raises(BadRequestError, match="too few") as caught:
            replay([gate], Policy())
        assert "--traffic" in caught.value.hint
