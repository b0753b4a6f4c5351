"""What a site says it could do: no line that another beats, nothing from where the query comes."""

import pytest

from middle_tier.scheduler.reach import reach
from middle_tier.scheduler.types import Policy
from tests.middle_tier.fleet import a_node, a_summary, a_view, an_offer, info


def lines(view, **changes):
    return reach(view.groups("digits"), Policy(), now=0.0, **changes)


def test_the_most_accurate_comes_first_and_what_is_later_and_worse_is_left_out():
    infos = [
        info("slow", 50.0, accuracy=0.9), info("good", 20.0, accuracy=0.95),
        info("fast", 5.0, accuracy=0.8),
    ]  # fmt: skip
    found = lines(a_view((a_node(loaded=("slow", "good", "fast")), infos)))
    assert [(line.accuracy, line.finish.at(50.0)) for line in found] == [
        (0.95, pytest.approx(20.0)), (0.8, pytest.approx(5.0)),
    ]  # fmt: skip


def test_what_is_cold_is_offered_with_its_load():
    found = lines(a_view((a_node(loaded=()), [info("mlp", 5.0, load_ms=300.0)])))
    assert found[0].finish.at(50.0) == pytest.approx(305.0)


def test_what_lies_where_the_query_comes_from_is_not_offered():
    view = a_view((a_node(loaded=("mlp",)), [info("mlp", 5.0, accuracy=0.8)]))
    offer = an_offer("mlp", info=info("mlp", 5.0, accuracy=0.99))
    view.summary(a_summary("site-2", offers=(offer,)), 0.0)
    assert lines(view)[0].accuracy == 0.99
    assert [line.accuracy for line in lines(view, hops=("site-2",))] == [0.8]


def test_a_higher_quantile_is_never_earlier():
    view = a_view((a_node(loaded=("mlp",)), [info("mlp", 5.0)]))
    for line in lines(view):
        assert list(line.finish.ms) == sorted(line.finish.ms)


def test_it_says_what_could_be_done_if_nobody_waited():
    infos = [info("good", 20.0, accuracy=0.95), info("fast", 5.0, accuracy=0.8)]
    (line, *_) = lines(a_view((a_node(loaded=("good", "fast"), queue_ms=500.0), infos)))
    assert line.accuracy == 0.95
    assert line.finish.at(99.0) == pytest.approx(520.0)
    assert line.alone.at(99.0) == pytest.approx(20.0)


def test_a_worse_one_is_no_sooner_alone_than_the_best_of_what_is_better():
    slow = a_node("slow", loaded=("fast",))
    busy = a_node("busy", loaded=("good",), hardware="gpu", queue_ms=500.0)
    found = lines(
        a_view(
            (slow, [info("fast", 50.0, accuracy=0.8)]), (busy, [info("good", 20.0, accuracy=0.95)])
        )
    )
    assert [line.alone.at(50.0) for line in found] == [pytest.approx(20.0)] * len(found)
