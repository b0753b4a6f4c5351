"""From the tally to the cloud's ledger: through cuts, lost replies and restarts, once."""

import asyncio
from contextlib import asynccontextmanager

from edge_agent.audit import Remembered
from edge_agent.background import beside
from edge_agent.bus.nats import connecting
from edge_agent.clock import ManualClock, SystemClock
from middle_tier.http.tally import Tally
from middle_tier.usage.batch import Used
from middle_tier.usage.ledger import Ledger
from middle_tier.usage.metering import ALL, Meter, collecting, metering
from protocol.errors import UnreachableError
from tests.build import an_answer


class Stream:
    """Keeps messages, but for when it is cut off, or its replies are."""

    def __init__(self):
        self.messages = []
        self.cut = False
        self.mute = False

    async def put(self, subject, data, _):
        if self.cut:
            raise UnreachableError("cut")
        self.messages.append((subject, data))
        if self.mute:
            raise UnreachableError("no reply")

    async def take(self, stream, subject, deal):
        assert (stream, subject) == ("USAGE", ALL)
        while self.messages:
            await deal(*self.messages.pop(0))


def a_meter(folder, clock, site="site-1"):
    return Meter(Tally(0.0), Ledger(folder / f"{site}.db", 0.0), clock, site=site)


def asked(meter, times=1):
    for _ in range(times):
        answer = an_answer(cost_usd=0.25)
        meter.tally.answered("acme", "digits", answer, rows=1, elapsed_ms=1.0, met=True)


def used(times):
    return {"acme": Used(times, times, times, times, times / 4)}


async def until(condition, clock):
    async with asyncio.timeout(20):
        while not condition():
            await clock.advance(0.5)
            await asyncio.sleep(0.002)  # a thread writes


async def test_what_is_counted_reaches_the_cloud_once_through_a_cut(tmp_path):
    clock, stream = ManualClock(), Stream()
    site, cloud = a_meter(tmp_path, clock), a_meter(tmp_path, clock, "cloud")
    async with metering(site, stream):
        stream.cut = True
        for _ in range(5):
            asked(site)
            await site.look()
        await clock.advance(5)
        assert not stream.messages
        stream.cut, stream.mute = False, True
        await until(lambda: len(stream.messages) > 2, clock)
        stream.mute = False
        await until(lambda: not site.ledger.waiting(), clock)
        await collecting(cloud, stream, Remembered())
        assert cloud.ledger.totals() == used(5)


async def test_what_waits_when_the_process_ends_is_told_by_the_next(tmp_path):
    clock, stream = ManualClock(), Stream()
    stream.cut = True
    first = a_meter(tmp_path, clock)
    async with metering(first, stream):
        asked(first, 3)
    stream.cut = False
    second = a_meter(tmp_path, clock)
    cloud = a_meter(tmp_path, clock, "cloud")
    async with metering(second, stream):
        await until(lambda: not second.ledger.waiting(), clock)
    await collecting(cloud, stream, Remembered())
    assert cloud.ledger.totals() == used(3)


async def test_a_gate_with_nobody_to_tell_keeps_it_to_itself(tmp_path):
    clock = ManualClock()
    meter = a_meter(tmp_path, clock)
    async with metering(meter, None):
        asked(meter)
        await meter.look()
        assert (meter.ledger.waiting(), meter.ledger.totals()) == (0, used(1))


async def test_a_site_tells_of_nobody_but_itself(tmp_path):
    clock, stream, audit = ManualClock(), Stream(), Remembered()
    liar, cloud = a_meter(tmp_path, clock, "site-2"), a_meter(tmp_path, clock, "cloud")
    async with metering(liar, stream):
        asked(liar)
        await liar.look()
        await until(lambda: stream.messages, clock)
    (_, data) = stream.messages[0]
    stream.messages = [("tm.v1.evt.site-1.gate.usage", data), ("tm.v1.evt.x.gate.usage", b"{")]
    await collecting(cloud, stream, audit)
    assert cloud.ledger.totals() == {}
    assert [kind for kind, _ in audit.entries] == ["usage-refused", "usage-refused"]


@asynccontextmanager
async def collected(meter, url):
    async with (
        connecting(url, name="cloud") as bus,
        beside(collecting(meter, bus.streams(), Remembered()), "collect"),
    ):
        yield


async def test_over_a_real_server_that_dies_meanwhile_it_arrives_once(tmp_path, own_jetstream):
    clock = SystemClock()
    site, cloud = a_meter(tmp_path, clock), a_meter(tmp_path, clock, "cloud")
    async with connecting(own_jetstream.url, name="site") as bus, metering(site, bus.streams()):
        async with collected(cloud, own_jetstream.url), asyncio.timeout(60):
            asked(site, 2)
            await site.look()
            while cloud.ledger.totals() != used(2):  # noqa: ASYNC110  # another process's disk
                await asyncio.sleep(0.02)
        own_jetstream.stop()
        asked(site, 3)
        await site.look()
        assert site.ledger.waiting() == 1
        own_jetstream.start()
        async with collected(cloud, own_jetstream.url), asyncio.timeout(60):
            while cloud.ledger.totals() != used(5):  # noqa: ASYNC110  # another process's disk
                await asyncio.sleep(0.02)
            while site.ledger.waiting():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert cloud.ledger.totals() == used(5)
