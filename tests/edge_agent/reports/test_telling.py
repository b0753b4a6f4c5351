"""A journal's reports arrive once, through a cut, lost replies and a restart."""

import asyncio

from edge_agent.clock import ManualClock
from edge_agent.reports.telling import MAX_RETRY_S, telling
from protocol.errors import UnreachableError

SPEAKER = ("site-1", "cam-1")


class Stream:
    """Keeps messages, but for when it is cut off, or its replies are."""

    def __init__(self):
        self.messages = []
        self.cut = self.mute = False

    async def put(self, subject, data, message_id):
        if self.cut:
            raise UnreachableError("cut")
        self.messages.append((subject, data, message_id))
        if self.mute:
            raise UnreachableError("no reply")


async def until(condition, clock):
    async with asyncio.timeout(20):
        while not condition():
            await clock.advance(MAX_RETRY_S)
            await asyncio.sleep(0.002)  # a thread reads and writes


def refuse(journal, what):
    journal.record("trust-refused", what=what)


async def test_what_was_refused_during_a_cut_is_told_after_it(tmp_path):
    clock, stream = ManualClock(), Stream()
    stream.cut = True
    async with telling(tmp_path, SPEAKER, stream, clock) as journal:
        refuse(journal, "first")
        refuse(journal, "second")
        await clock.advance(100)
        assert (stream.messages, journal.waiting) == ([], 2)
        stream.cut = False
        await until(lambda: not journal.waiting, clock)
    assert [subject for subject, _, _ in stream.messages] == ["tm.v1.evt.site-1.cam-1.audit"] * 2


async def test_what_may_have_arrived_is_said_again_as_the_same(tmp_path):
    clock, stream = ManualClock(), Stream()
    stream.mute = True
    async with telling(tmp_path, SPEAKER, stream, clock) as journal:
        refuse(journal, "first")
        await until(lambda: len(stream.messages) > 1, clock)
        stream.mute = False
        await until(lambda: not journal.waiting, clock)
    assert len(set(stream.messages)) == 1


async def test_what_waits_when_the_process_ends_is_told_by_the_next(tmp_path):
    clock, stream = ManualClock(), Stream()
    stream.cut = True
    async with telling(tmp_path, SPEAKER, stream, clock) as journal:
        refuse(journal, "first")
    stream.cut = False
    async with telling(tmp_path, SPEAKER, stream, clock) as journal:
        await until(lambda: not journal.waiting, clock)
    assert len(stream.messages) == 1
