from middle_tier.sight.links import YOUNG_S, LinkSamples
from protocol.bundles import estimate
from protocol.types import Latency

ADVERTISED = Latency(ms=(2, 3, 4, 5, 6), count=9)


def believed(samples, before=ADVERTISED):
    return samples.believed(ADVERTISED, before).ms


def test_without_samples_the_advert_is_believed():
    assert believed(LinkSamples()) == ADVERTISED.ms


def test_samples_move_the_whole_distribution():
    samples = LinkSamples()
    for _ in range(3):
        samples.add(12.0, 0.0)
    assert believed(samples) == (12, 13, 14, 15, 16)


def test_one_outlier_moves_nothing():
    samples = LinkSamples()
    for ms in (2.0, 2.0, 500.0):
        samples.add(ms, 0.0)
    assert believed(samples) == ADVERTISED.ms


def test_what_is_old_is_forgotten():
    samples = LinkSamples()
    samples.add(12.0, 0.0)
    assert not samples.expire(YOUNG_S)
    assert samples.expire(YOUNG_S + 0.1)
    assert believed(samples) == ADVERTISED.ms


def test_a_slight_change_is_not_told():
    samples = LinkSamples()
    samples.add(2.01, 0.0)
    assert samples.believed(ADVERTISED, ADVERTISED) is ADVERTISED
    assert samples.believed(ADVERTISED, estimate(9.0)) is not ADVERTISED
