import pytest

from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from protocol.adverts import Description
from protocol.bundles import estimate
from protocol.errors import UnknownError
from protocol.messages import Refusal
from tests.build import a_capacity, a_profile, a_task, an_answer
from tests.middle_tier.fleet import (
    a_demand,
    a_node,
    a_summary,
    a_view,
    add,
    an_offer,
    dollars_an_hour,
    info,
)

PI = {"hardware": "pi", "price": dollars_an_hour(0.1)}


def best(view, now=0.0, **changes):
    return choose(a_demand(**changes), view.groups("digits"), Policy(), now=now, seed=1).ranked[0]


def counts(view, now=0.0):
    return explain(a_demand(), view.groups("digits"), Policy(), now=now, seed=1).counts


def answered(view, candidate, *, run_ms=1.0, link_ms=0.0, now=0.0, **changes):
    answer = an_answer(
        variant=candidate.variant, node=candidate.node, run_ms=run_ms, held_ms=run_ms, **changes
    )
    view.observed(candidate, answer, run_ms + link_ms + candidate.transfer_ms, now)


def test_a_description_is_wanted_until_it_is_there_and_when_it_changes():
    view = View("site-1")
    assert view.advert(a_node(), 0.0)
    add(view, a_node(sequence=2), [info()])
    assert not view.advert(a_node(sequence=3), 1.0)
    assert view.advert(a_node(sequence=4, revision=1), 2.0)


def test_a_task_that_nobody_runs_is_unknown():
    with pytest.raises(UnknownError):
        View("site-1").groups("digits")


def describe(view, node, *tasks, revision=1):
    advert = a_node(node, sequence=revision + 1, revision=revision)
    view.advert(advert, 0.0)
    told = Description(
        node=node, site="site-1", revision=revision,
        tasks=tuple(a_task(name) for name in tasks), variants=(),
    )  # fmt: skip
    view.describe(told, 0.0)


def test_a_task_is_known_until_the_last_that_speaks_of_it_does_so_no_more():
    view = View("site-1")
    describe(view, "edge-1", "digits", "replayed")
    describe(view, "edge-2", "digits", "replayed")
    describe(view, "edge-1", "digits", revision=2)
    assert set(view.tasks) == {"digits", "replayed"}
    view.advert(a_node("edge-2", boot="another"), 0.0)  # a restart says nothing of tasks yet
    assert set(view.tasks) == {"digits", "replayed"}
    describe(view, "edge-2", "digits", revision=2)
    assert set(view.tasks) == {"digits"}
    describe(view, "edge-2", "digits", "replayed", revision=3)
    assert set(view.tasks) == {"digits", "replayed"}


def test_a_task_of_those_who_are_forgotten_is_forgotten_a_sites_too():
    view = View("cloud")
    view.summary(a_summary(), 0.0)
    assert set(view.tasks) == {"digits"}
    view.tick(200.0)
    assert set(view.tasks) == {"digits"}
    view.tick(1000.0)
    assert not view.tasks


def test_silence_makes_a_node_suspect_then_gone_and_a_word_brings_it_back():
    view = a_view((a_node(), [info()]))
    for now, health, reason in ((6.5, "suspect", "suspect"), (20.5, "gone", "gone")):
        view.tick(now)
        assert view.nodes(now)[0].health == health
        assert counts(view, now) == {reason: 1}
    view.advert(a_node(sequence=2), 21.0)
    assert view.nodes(21.0)[0].health == "alive"
    assert best(view, 21.0).node == "edge-1"


def test_who_could_not_be_heard_was_not_silent():
    view = a_view((a_node("a"), [info()]))
    view.deaf(60.0)
    view.tick(61.0)
    assert best(view, 61.0).node == "a"
    view.tick(61.0 + 6.1)
    assert counts(view, 67.1) == {"suspect": 1}


def test_a_node_long_gone_is_forgotten():
    view = a_view((a_node(), [info()]))
    for now in range(0, 700, 5):
        view.tick(now)
    assert view.nodes(700.0) == ()


def test_where_nobody_listens_is_suspect_until_it_speaks():
    view = a_view((a_node(), [info()]))
    view.lost("site-1", "edge-1", 1.0)
    assert counts(view, 1.0) == {"suspect": 1}
    view.advert(a_node(sequence=2), 1.5)
    assert best(view, 1.5).warm


def test_a_late_answer_proves_that_a_node_given_up_lives():
    view = a_view((a_node(), [info()]))
    candidate = best(view)
    view.lost("site-1", "edge-1", 1.0)
    answered(view, candidate, now=1.1)
    assert best(view, 1.2).node == "edge-1"


def test_a_node_that_leaves_is_gone_at_once():
    view = a_view((a_node(), [info()]))
    view.advert(a_node(sequence=2, state="leaving"), 1.0)
    assert counts(view, 1.0) == {"leaving": 1}
    assert view.nodes(1.0)[0].health == "gone"


def test_an_advert_older_than_the_last_is_not_believed():
    view = a_view((a_node(sequence=5), [info()]))
    view.advert(a_node(sequence=4, queue_ms=500.0), 0.1)
    assert best(view).queue_ms == 0.0


def test_what_was_sent_is_on_the_queue_until_it_is_heard_of():
    view = a_view((a_node(), [info(run_ms=7.0)]))
    first = best(view)
    view.sent(first, 1, 0.0)
    second = best(view)
    view.sent(second, 1, 0.0)
    assert [best(view).queue_ms, second.queue_ms, first.queue_ms] == [14.0, 7.0, 0.0]
    answered(view, first, run_ms=7.0)
    assert best(view).queue_ms == 7.0
    view.abandoned(second, 1, 0.0)
    assert best(view).queue_ms == 0.0


def test_a_restarted_node_has_nothing_of_ours_in_hand():
    view = a_view((a_node(), [info(run_ms=7.0)]))
    view.sent(best(view), 1, 0.0)
    add(view, a_node(boot="b2"), [info(run_ms=7.0)], 1.0)
    assert best(view, 1.0).queue_ms == 0.0


def test_a_node_that_slows_down_is_noticed_within_twenty_of_its_queries():
    view = a_view((a_node(), [info(run_ms=10.0)]))
    for _ in range(20):
        candidate = best(view)
        view.sent(candidate, 1, 0.0)
        answered(view, candidate, run_ms=20.0)
    assert 19.0 < best(view).run_ms < 20.5


def test_a_correction_is_the_nodes_own_and_a_hint_for_its_class():
    view = a_view(*((a_node(f"edge-{n}", **PI), [info(run_ms=10.0)]) for n in range(3)))
    firsts = [
        choose(a_demand(), view.groups("digits"), Policy(), now=0.0, seed=seed).ranked[0]
        for seed in range(20)
    ]
    candidate = next(found for found in firsts if found.node == "edge-0")
    for _ in range(20):
        answered(view, candidate, run_ms=30.0)
    view.table.settle()
    usual = view.table.columns.factor.item(0)
    runs = {
        member.name: usual * member.pace * member.factors.get("mlp", 1.0)
        for member in view.table.sums.members[1:]
    }
    assert 2.8 < runs["edge-0"] < 3.2
    assert runs["edge-1"] == usual
    assert 1.0 < best(view).run_ms / 10.0 < runs["edge-0"]


def test_a_slower_link_is_seen_in_answers_and_forgotten_with_them():
    view = a_view((a_node(link=estimate(2.0), period_s=100.0), [info()]))
    for _ in range(5):
        answered(view, best(view, 1.0), link_ms=52.0, now=1.0)
    assert best(view, 1.0).link_ms == 52.0
    view.tick(11.5)
    assert best(view, 1.0).link_ms == 2.0


def test_a_cold_variant_that_was_asked_for_is_loading_and_warm_once_it_answered():
    view = a_view((a_node(loaded=()), [info(load_ms=50.0)]))
    cold = best(view)
    assert (cold.warm, cold.cold_ms) == (False, 50.0)
    view.sent(cold, 1, 0.0)
    assert best(view, 0.03).cold_ms == pytest.approx(20.0)
    answered(view, cold, cold=True, now=0.06)
    assert best(view, 0.06).warm


@pytest.mark.parametrize("reason", ["memory", "load_failed", "unknown_variant"])
def test_a_node_that_cannot_is_not_asked_again_at_once(reason):
    view = a_view((a_node(), [info()]))
    view.refused(best(view), Refusal(id="q", reason=reason), 0.0)
    assert counts(view, 1.0) == {"failed lately": 1}
    assert best(view, 60.0).node == "edge-1"


def test_a_bad_input_does_not_take_the_variant_from_others():
    view = a_view((a_node(), [info()]))
    view.refused(best(view), Refusal(id="q", reason="run_failed"), 0.0)
    assert best(view).node == "edge-1"


def test_a_refusal_tells_of_the_queue():
    view = a_view((a_node(), [info()]))
    view.refused(best(view), Refusal(id="q", reason="queue_full", queue_ms=40.0), 0.0)
    assert best(view).queue_ms == 40.0


def test_a_refusal_for_draining_is_believed_until_the_node_says_otherwise():
    view = a_view((a_node(), [info()]))
    view.refused(best(view), Refusal(id="q", reason="draining"), 0.0)
    assert counts(view) == {"draining": 1}
    view.advert(a_node(sequence=2), 0.1)
    assert best(view, 0.1).node == "edge-1"


def test_a_profile_measured_later_replaces_the_reference():
    view = a_view((a_node(), [info(run_ms=10.0)]))
    measured = info(profile=a_profile(3.0, measured=True))
    view.advert(a_node(sequence=2, revision=1), 0.0)
    add(view, a_node(sequence=3, revision=2), [measured])
    assert best(view).run_ms == 3.0


def test_a_node_that_measured_otherwise_than_its_class_is_corrected():
    fast, slow = (info(profile=a_profile(ms, measured=True)) for ms in (5.0, 15.0))
    view = a_view((a_node("edge-1", **PI), [fast]), (a_node("edge-2", **PI), [slow]))
    demand = a_demand(tried=frozenset({("site-1", "edge-1")}))
    plan = choose(demand, view.groups("digits"), Policy(), now=0.0, seed=1)
    assert plan.ranked[0].run_ms == 15.0
    assert best(view).run_ms == 5.0


def test_a_silent_site_is_not_chosen():
    view = View("cloud", tier="cloud")
    view.summary(a_summary(), 0.0)
    assert best(view).scope == "site"
    view.tick(3.5)
    assert counts(view, 3.5) == {"suspect": 1}
    assert view.sites(3.5)[0].health == "suspect"
    view.summary(a_summary(sequence=2), 4.0)
    assert best(view, 4.0).site == "site-2"


def test_what_was_sent_to_a_site_is_shared_by_its_nodes():
    view = View("cloud", tier="cloud")
    view.summary(a_summary(offers=(an_offer(nodes=4),)), 0.0)
    candidate = best(view)
    view.sent(candidate, 1, 0.0)
    assert best(view).queue_ms == pytest.approx(0.25)
    view.refused(candidate, Refusal(id="q", reason="no_candidate"), 0.0)
    assert counts(view) == {"failed lately": 1}


def test_variants_and_nodes_are_told_for_people():
    view = a_view((a_node(), [info(), info("cnn")]), (a_capacity("mute"), []))
    assert [each.variant for each in view.variants("digits")] == ["cnn", "mlp"]
    assert view.nodes(0.0)[0].variants == ("mlp", "cnn")
    assert repr(view) == "<View of site-1 | 2 nodes | 0 sites | 1 tasks>"


def test_pools_that_stay_empty_give_their_rows_back():
    view = a_view((a_node(), [info()]))
    for sequence in range(2, 40):
        hourly = dollars_an_hour(float(sequence))
        now = sequence * 100.0
        view.advert(a_node(sequence=sequence, price=hourly), now)
        view.tick(now)
    assert view.table.columns.used <= 9
    assert best(view, 4000.0).node == "edge-1"
