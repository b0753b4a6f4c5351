"""What answers teach is what is predicted next: scatter, changes, speed, loading; and it fades."""

import random

import pytest

from middle_tier.http.overview import seen_by
from middle_tier.scheduler.plan import choose
from middle_tier.scheduler.types import Policy
from middle_tier.sight.runtimes import FADE_S
from protocol.tokens import Claims
from tests.build import an_answer
from tests.middle_tier.fleet import a_demand, a_node, a_view, info


def planned(view, *, now=0.0, seed=1, **wants):
    demand = a_demand(10_000.0, **wants)
    return choose(demand, view.groups("digits"), Policy(), now=now, seed=seed).ranked[0]


def answered(view, candidate, run_ms, *, now=0.0, way_ms=0.0, **fields):
    answer = an_answer(variant=candidate.variant, run_ms=run_ms, held_ms=run_ms, **fields)
    view.sent(candidate, 1, now)
    view.observed(candidate, answer, answer.held_ms + way_ms, now)


def test_the_percentile_wanted_is_learnt_from_answers():
    view, chance = a_view((a_node(), [info(run_ms=10.0)])), random.Random(3)  # noqa: S311
    drawn = [10.0 * chance.lognormvariate(0.0, 0.3) for _ in range(3000)]
    for run_ms in drawn:
        answered(view, planned(view), run_ms)
    view.tick(0.0)
    for percentile in (50.0, 90.0, 99.0):
        exact = sorted(drawn)[int(3000 * percentile / 100)]
        predicted = planned(view, percentile=percentile).run_ms
        assert predicted == pytest.approx(exact, rel=0.15)


def test_a_class_that_slows_down_is_noticed_within_twenty_answers_of_all_its_nodes():
    names = [f"pi-{n}" for n in range(10)]
    view = a_view(*((a_node(name), [info(run_ms=10.0)]) for name in names))
    for at in range(20):
        answered(view, planned(view, seed=at), 20.0)
    runs = [planned(view, seed=seed).run_ms for seed in range(30)]
    assert all(18.0 < run_ms < 24.0 for run_ms in runs)


def test_one_slow_node_is_not_its_class():
    view = a_view(*((a_node(f"pi-{n}"), [info(run_ms=10.0)]) for n in range(4)))
    for seed in range(80):
        candidate = planned(view, seed=seed)
        answered(view, candidate, 30.0 if candidate.node == "pi-0" else 10.0)
    best = planned(view)
    assert best.node != "pi-0"
    assert best.run_ms == pytest.approx(10.0, rel=0.2)


def test_a_node_that_slows_down_does_so_for_every_variant():
    both = [info("small", 10.0), info("large", 50.0)]
    view = a_view(*((a_node(name, loaded=("small", "large")), both) for name in ("a", "b")))
    before = {name: planned(view, variant="large", tried=tried(name)).run_ms for name in "ab"}
    for _ in range(5):
        answered(view, planned(view, variant="small", tried=tried("b")), 20.0)
    assert planned(view, variant="large", tried=tried("b")).run_ms > 1.2 * before["a"]


@pytest.mark.parametrize("nodes", ["a", "ab"])
def test_of_runs_shorter_than_a_tenth_of_a_millisecond_none_is_dear(nodes):
    both = [info("small", 0.01), info("large", 0.03)]
    view = a_view(*((a_node(name, loaded=("small", "large")), both) for name in nodes))
    for seed in range(50):  # the caches are cold as often as not
        answered(view, planned(view, seed=seed, variant="small"), 0.04 if seed % 2 else 0.01)
        answered(view, planned(view, seed=seed, variant="large"), 0.02)
        assert planned(view, seed=seed).variant == "small"


def test_one_stall_of_a_short_run_is_soon_forgotten():
    view = a_view((a_node(), [info(run_ms=0.01)]))
    usual_ms = planned(view).run_ms
    answered(view, planned(view), 10.0)
    assert planned(view).run_ms > 1.5 * usual_ms
    for _ in range(20):
        answered(view, planned(view), 0.02)
    assert planned(view).run_ms == pytest.approx(usual_ms, rel=0.05)


def tried(name):
    return frozenset({("site-1", name)})


def test_a_correction_that_nobody_confirms_fades():
    view = a_view((a_node(period_s=1000.0), [info(run_ms=10.0)]))
    for _ in range(20):
        answered(view, planned(view), 80.0)
    assert planned(view).run_ms > 70.0
    for spell in range(1, 10):
        view.tick(spell * (FADE_S + 1.0))
    assert planned(view, now=400.0).run_ms == pytest.approx(10.0)


def test_the_speed_of_a_link_is_learnt_from_large_transfers():
    view = a_view((a_node(mbps=80.0), [info(run_ms=1.0)]))
    assert planned(view, in_bytes=1_000_000).transfer_ms == pytest.approx(100.0)
    for _ in range(10):
        answered(view, planned(view, in_bytes=1_000_000), 1.0, way_ms=400.0)
    found = planned(view, in_bytes=1_000_000)
    assert found.transfer_ms == pytest.approx(400.0, rel=0.06)
    assert found.link_ms < 5.0


def test_what_loading_takes_is_learnt_from_who_had_to_wait_for_it():
    view = a_view((a_node(loaded=()), [info(load_ms=100.0)]), (a_node("b", loaded=()), [info()]))
    for sequence in range(2, 12):
        first = planned(view, tried=tried("b"))
        assert not first.warm
        answered(view, first, 1.0, cold=True)
        view.advert(a_node(loaded=(), sequence=sequence), 0.0)
    assert planned(view).cold_ms == pytest.approx(100.0)


def test_people_are_shown_what_was_predicted_and_what_came_of_it():
    view = a_view((a_node(), [info(run_ms=10.0)]))
    assert view.nodes(0.0)[0].runs == ()
    for _ in range(20):
        answered(view, planned(view), 20.0)
    (runs,) = view.nodes(0.0)[0].runs
    assert (runs.variant, runs.count) == ("mlp", 20)
    assert (runs.observed_p50_ms, runs.observed_p99_ms) == (20.0, 20.0)
    assert runs.predicted_p50_ms == pytest.approx(20.0, rel=0.05)
    assert runs.correction == pytest.approx(2.0, rel=0.05)


def test_a_tenant_is_not_shown_the_runs_of_what_is_not_theirs():
    view = a_view((a_node(), [info(run_ms=10.0)]))
    answered(view, planned(view), 20.0)
    (status,) = view.nodes(0.0)
    for tasks, shown in ((None, 1), (("digits",), 1), (("others",), 0)):
        claims = Claims(
            iss="i", aud="a", sub="t", iat=0, exp=1, jti="x", scopes=("read",), tasks=tasks
        )
        assert len(seen_by(claims, view, status)["runs"]) == shown
