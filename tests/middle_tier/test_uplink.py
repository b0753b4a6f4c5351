"""The way to the parent: measured lately, cut as soon as it is known, told of once a second."""

from contextlib import asynccontextmanager

import pytest

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock
from middle_tier.uplink import BORNE_AT_ONCE, WINDOW, Parent, uplinked
from protocol.adverts import SiteCapacity
from protocol.bundles import estimate
from protocol.codec import Frame
from protocol.messages import Pong, Reach
from protocol.subjects import RouteSubject, SummarySubject
from tests.middle_tier.fleet import a_demand

SUMMARY = SiteCapacity(site="site-1", boot="b", sequence=1, link=estimate(0.0))


def a_parent(connected=lambda: True, **changes):
    return Parent("cloud", connected, **changes)


def test_the_link_is_that_of_the_last_seconds():
    parent = a_parent()
    for _ in range(WINDOW):
        parent.answered(500.0)
    for ms in range(1, WINDOW + 1):
        parent.answered(float(ms))
    assert parent.link.ms == (5.0, 9.0, 10.0, 10.0, 10.0)
    assert parent.link.count == WINDOW


def test_bytes_take_time_on_the_way():
    parent = a_parent(mbps=8.0)
    parent.answered(40.0)
    assert parent.away_ms(99.0, 10_000) == pytest.approx(50.0)


def test_nothing_measured_is_no_link():
    assert a_parent().link.ms == (0.0,) * 5


def test_it_is_cut_while_the_bus_is_not_connected():
    connected = [True]
    parent = a_parent(lambda: connected[0])
    parent.answered(1.0)
    assert not parent.cut
    connected[0] = False
    assert parent.cut


@asynccontextmanager
async def an_uplink(network, clock, parent):
    told, cuts = [], []
    bus = MemoryBus(network)
    pong = lambda delivery: bus.publish(delivery.reply, Frame(Pong()))  # noqa: E731  # short
    async with (
        bus.subscribe(SummarySubject.pattern(), told.append),
        bus.subscribe(str(RouteSubject("cloud")), pong),
        uplinked(bus, clock, parent, summary=lambda: SUMMARY, cut=lambda: cuts.append(clock.now())),
    ):
        await clock.advance(0.0)
        yield told, cuts


REACH = (
    Reach(task="digits", accuracy=0.95, finish=estimate(50.0)),
    Reach(task="digits", accuracy=0.8, finish=estimate(5.0)),
)


@pytest.mark.parametrize(
    ("least", "budget_ms", "goes_up"),
    [
        (0.9, 60.0, True),
        (0.9, 40.0, False),
        (0.7, 10.0, True),
        (0.7, 4.0, False),
        (0.99, 1e6, False),
    ],
)
def test_a_query_goes_up_only_to_a_parent_that_may_have_something(least, budget_ms, goes_up):
    parent = a_parent()
    parent.reach = REACH
    demand = a_demand(100.0, min_accuracy=least)
    assert (parent.refusal(demand, budget_ms) is None) == goes_up


def test_the_refusal_says_what_could_be_had_there():
    parent = a_parent()
    parent.reach = REACH
    refused = parent.refusal(a_demand(100.0, min_accuracy=0.9), 10.0)
    assert (refused.finish_ms, refused.best_accuracy) == (50.0, 0.8)


def test_a_parent_that_does_not_say_is_asked():
    assert a_parent().refusal(a_demand(100.0, min_accuracy=0.99), 1.0) is None


def test_misses_are_told_once_they_are_more_than_may_be_borne():
    parent = a_parent()
    parent.reach = REACH
    for _ in range(int(BORNE_AT_ONCE)):
        parent.refusal(a_demand(100.0, min_accuracy=0.9), 10.0)
    assert parent.missed() == ()
    parent.refusal(a_demand(100.0, min_accuracy=0.9), 10.0)
    assert [one.want.latency_ms for one in parent.missed()] == [10.0]
    assert parent.missed() == ()


async def test_the_parent_is_told_about_once_a_second():
    clock, parent = ManualClock(), a_parent()
    async with an_uplink(MemoryNetwork(), clock, parent) as (told, cuts):
        await clock.advance(20.0)
    assert 18 <= len(told) <= 24
    assert told[0].subject == str(SummarySubject("site-1"))
    assert not cuts
    assert parent.link.count == WINDOW


async def test_a_cut_is_noticed_and_mended():
    network, clock, parent = MemoryNetwork(), ManualClock(), a_parent()
    async with an_uplink(network, clock, parent) as (_, cuts):
        network.cut.add(str(RouteSubject("cloud")))
        await clock.advance(1.2)
        assert parent.cut
        assert cuts
        network.cut.clear()
        await clock.advance(1.2)
        assert not parent.cut


@pytest.mark.parametrize(
    ("alone_ms", "least", "could"),
    [(20.0, 0.9, True), (20.0, 0.96, False), (60.0, 0.9, False), (None, 0.9, False)],
)
def test_a_full_parent_could_be_in_time_for_who_has_not_had_their_share(alone_ms, least, could):
    parent = a_parent()
    alone = None if alone_ms is None else estimate(alone_ms)
    parent.reach = (Reach(task="digits", accuracy=0.95, finish=estimate(900.0), alone=alone),)
    demand = a_demand(50.0, min_accuracy=least)
    assert parent.refusal(demand, 50.0) is not None
    assert parent.could(demand, 50.0) is could
