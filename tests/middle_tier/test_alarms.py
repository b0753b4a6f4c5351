"""Alarms ring at their time, in order, once; cancelled ones never; on any clock."""

from edge_agent.clock import ManualClock, SystemClock, settle
from middle_tier.routing.alarms import Alarms


async def test_alarms_ring_in_order_of_time_whenever_they_were_set():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        for at in (3.0, 1.0, 2.0, 1.0):
            alarms.set(at, lambda at=at: rung.append((at, clock.now())))
        await clock.advance(2.5)
        assert rung == [(1.0, 1.0), (1.0, 1.0), (2.0, 2.0)]
        await clock.advance(1.0)
        assert rung[-1] == (3.0, 3.0)


async def test_a_cancelled_alarm_does_not_ring():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        alarms.set(1.0, lambda: rung.append(1)).cancel()
        alarms.set(1.0, lambda: rung.append(2))
        await clock.advance(2.0)
    assert rung == [2]


async def test_an_alarm_set_by_a_ringing_one_rings_even_when_it_is_due_already():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        alarms.set(1.0, lambda: alarms.set(0.5, lambda: rung.append(clock.now())))
        await clock.advance(1.0)
        await clock.advance(0.0)
    assert rung == [1.0]


async def test_alarms_set_before_and_after_a_pause_ring():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    alarms.set(1.0, lambda: rung.append(1))
    async with alarms.ringing():
        await clock.advance(1.0)
        await settle()
        alarms.set(2.0, lambda: rung.append(2))
        await clock.advance(1.0)
    assert rung == [1, 2]


async def test_an_alarm_that_is_nearer_than_all_others_rings_first():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        alarms.set(9.0, lambda: rung.append(9))
        await clock.advance(1.0)
        alarms.set(1.001, lambda: rung.append(1))
        await clock.advance(0.001)
        assert rung == [1]
        alarms.set(1.001, lambda: rung.append(2))
        await clock.advance(0.0)
        assert rung == [1, 2]
        await clock.advance(8.0)
    assert rung == [1, 2, 9]


async def test_of_many_alarms_those_that_were_not_cancelled_ring_in_order_at_their_time():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        for number in range(1000):
            at = (number * 37 % 1000) / 1000 + 0.0005
            alarm = alarms.set(at, lambda at=at: rung.append((at, clock.now())))
            if number % 3:
                alarm.cancel()
        for _ in range(1001):
            await clock.advance(0.001)
    assert len(rung) == 334
    assert rung == sorted(rung)
    assert all(0.0 <= now - at < 0.00101 for at, now in rung)


async def test_after_the_end_nothing_rings():
    clock, rung = ManualClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        alarms.set(1.0, lambda: rung.append(1))
    await clock.advance(2.0)
    assert rung == []


async def test_the_systems_clock_will_do():
    clock, rung = SystemClock(), []
    alarms = Alarms(clock)
    async with alarms.ringing():
        alarms.set(clock.now() - 1.0, lambda: rung.append(1))
        while not rung:
            await clock.sleep(0)
