import pytest

from middle_tier.sight.speeds import FURTHEST, OLD_S, Speed, tells


def test_without_transfers_the_advert_is_believed():
    assert Speed().believed(100.0, 50.0) == 100.0


def test_eight_transfers_teach_a_change():
    speed = Speed()
    speed.add(100.0, 100.0, 0.0)
    for _ in range(8):
        speed.add(10.0, 100.0, 0.0)
    assert 10.0 < speed.believed(100.0, 100.0) < 13.0


def test_many_at_once_teach_no_more_than_they_show():
    speed = Speed()
    for _ in range(1000):
        speed.add(10.0, 100.0, 0.0)
    assert speed.believed(100.0, 100.0) == pytest.approx(10.0)


def test_a_slight_change_is_not_told():
    speed = Speed()
    speed.add(102.0, 100.0, 0.0)
    assert speed.believed(100.0, 100.0) == 100.0


def test_what_is_old_is_forgotten():
    speed = Speed()
    speed.add(10.0, 100.0, 0.0)
    assert not speed.expire(OLD_S)
    assert speed.expire(OLD_S + 0.1)
    assert speed.believed(100.0, 10.0) == 100.0


@pytest.mark.parametrize("shown", [0.0, 1e300])
def test_no_link_is_believed_to_be_absurd(shown):
    speed = Speed()
    speed.add(shown, 100.0, 0.0)
    assert 100.0 / FURTHEST <= speed.believed(100.0, 100.0) <= 100.0 * FURTHEST


@pytest.mark.parametrize(
    ("link_ms", "transfer_ms", "of_speed"),
    [(2.0, 1.0, False), (2.0, 8.0, True), (40.0, 8.0, False)],
)
def test_only_where_bytes_are_most_of_the_way_it_tells_of_the_speed(link_ms, transfer_ms, of_speed):
    assert tells(link_ms, transfer_ms) is of_speed
