"""Two processes of one name are noticed; a restart and a half-open connection are not clones."""

import pytest

from middle_tier.sight.clones import CLONE_AFTER_S, FORGET_S, Clones


def heard(*adverts: tuple[float, str]) -> list[float]:
    """The times at which a clone was noticed."""
    clones = Clones()
    return [at for at, boot in adverts if clones.heard("cam-1", boot, at)]


def in_turn(until_s: float, every_s: float = 2.0) -> list[tuple[float, str]]:
    return [(place * every_s, "ab"[place % 2]) for place in range(int(until_s / every_s) + 1)]


def test_adverts_that_come_in_turns_for_more_than_two_ping_intervals_are_a_clone():
    noticed = heard(*in_turn(60))
    assert noticed
    assert CLONE_AFTER_S < noticed[0] <= CLONE_AFTER_S + 8


def test_it_says_which_and_for_how_long():
    clones = Clones()
    for at, boot in in_turn(22):
        clones.heard("cam-1", boot, at)
    clone = clones.heard("cam-1", "b", 26.0) or clones.heard("cam-1", "a", 28.0)
    assert clone is not None
    assert set(clone.boots) == {"a", "b"}
    assert clone.for_s > CLONE_AFTER_S


def test_adverts_in_turn_for_less_are_not():
    assert heard(*in_turn(CLONE_AFTER_S)) == []


def test_a_restart_is_not_a_clone():
    adverts = [(2.0 * place, "a" if place < 20 else "b") for place in range(60)]
    assert heard(*adverts) == []


def test_one_that_restarts_for_ever_is_not_a_clone():
    assert heard(*((2.0 * place, f"boot-{place}") for place in range(100))) == []


@pytest.mark.parametrize("late_s", [0.0, 5.0, 15.0])
def test_what_a_half_open_connection_still_brings_is_not_a_clone(late_s):
    """The old process's adverts were on their way; then nothing comes from it any more."""
    adverts = [
        (0.0, "a"),
        (1.0, "b"),
        (1.0 + late_s, "a"),
        (1.1 + late_s, "b"),
        (1.2 + late_s, "a"),
    ]
    assert heard(*adverts, *((3.0 + late_s + place, "b") for place in range(60))) == []


def test_turns_long_ago_do_not_count():
    late = FORGET_S + CLONE_AFTER_S
    assert heard((0, "a"), (1, "b"), (2, "a"), (late, "b"), (late + 1, "a"), (late + 2, "b")) == []


def test_each_node_is_looked_at_by_itself():
    clones = Clones()
    for at, boot in in_turn(60):
        assert clones.heard(f"cam-{boot}", boot, at) is None
