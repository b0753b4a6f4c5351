"""When misses are worth starting a node for: by how many they are, not by a moment's crowd."""

from cloud_core.simulator.policies.mesh import PAUSE_S, Spell

START_S = 30.0


def begun_after(misses, *, sites=1):
    """Return how many misses were noted when a start was worth it; None: never."""
    spell = Spell()
    for number, at in enumerate(misses, 1):
        if spell.lasts(START_S, at, sites=sites):
            return number
    return None


def test_few_misses_must_last_for_as_long_as_a_start_takes():
    assert begun_after(map(float, range(60))) == 30


def test_many_misses_are_waited_with_for_a_tenth_of_that():
    assert begun_after(at / 20.0 for at in range(200)) == 61


def test_a_crowd_of_a_moment_starts_nothing():
    assert begun_after([0.0] * 500) is None


def test_misses_with_long_pauses_between_them_start_nothing():
    assert begun_after((PAUSE_S + 1.0) * at for at in range(200)) is None


def test_more_sites_miss_more_before_it_is_worth_it():
    assert begun_after((at / 20.0 for at in range(200)), sites=4) == 120
