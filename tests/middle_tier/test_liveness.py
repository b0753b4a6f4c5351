import pytest

from middle_tier.sight.liveness import health, next_look_s


@pytest.mark.parametrize(
    ("silent_s", "expected"),
    [(0, "alive"), (6, "alive"), (6.1, "suspect"), (20, "suspect"), (20.1, "gone")],
)
def test_health_by_silence(silent_s, expected):
    assert health(silent_s, 2.0) == expected


def test_the_next_look_is_when_silence_could_mean_something_else():
    assert next_look_s(0.0, 2.0) == 6.0
    assert next_look_s(7.0, 2.0) == 13.0
