"""Reports in the audit log: each once, whose they are as the subject says, and never too many."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from cloud_core.audit.bounds import NODE_BURST
from cloud_core.audit.gathering import ALL, LOOK_S, MAX_JOURNALS, MOST, STREAM, Gathering
from cloud_core.audit.log import AuditLog
from edge_agent.background import beside
from edge_agent.clock import ManualClock
from edge_agent.reports.report import Report

SUBJECT = "tm.v1.evt.site-1.cam-1.audit"


def a_report(number=1, journal="0" * 16, **changes):
    said = {"what": "demo/digits/1", "reason": "untrusted", "error": "its bytes were changed"}
    told = {"journal": journal, "number": number, "kind": "trust-refused", "at": 1.0} | said
    return Report.model_validate(told | changes).model_dump_json().encode()


class Stream:
    """Hands out what there is, then stands still."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.dealt = asyncio.Event()

    async def take(self, stream, subject, deal, *, most):
        assert (stream, subject, most) == (STREAM, ALL, MOST)
        for message in self.messages:
            await deal(*message)
        self.dealt.set()
        await asyncio.Event().wait()


class Ground:
    def __init__(self, folder):
        self.clock = ManualClock()
        self.log = AuditLog(folder / "log.jsonl", self.clock)

    @asynccontextmanager
    async def gathered(self, *messages):
        """Written down what the messages say, as a cloud that has just started."""
        stream = Stream(*messages)
        async with beside(Gathering(self.log, self.clock).gather(stream), "gather"):
            async with asyncio.timeout(20):
                await stream.dealt.wait()
            yield

    async def takes(self, *messages):
        async with self.gathered(*messages):
            pass
        return self.entries()

    def entries(self):
        return self.log.read()


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path)


async def test_a_refusal_stands_in_the_log_with_whose_it_is(ground):
    (entry,) = await ground.takes((SUBJECT, a_report()))
    assert entry.kind == "trust-refused"
    assert (entry.fields["site"], entry.fields["node"]) == ("site-1", "cam-1")
    assert entry.fields["what"] == "demo/digits/1"
    assert entry.fields["error"] == "its bytes were changed"
    assert entry.fields["node_at"] == 1.0
    assert not ground.log.verify().fault


async def test_what_comes_twice_is_one_entry_also_after_a_restart(ground):
    first, second = (SUBJECT, a_report(1)), (SUBJECT, a_report(2))
    assert len(await ground.takes(first, first, second, first)) == 2
    assert len(await ground.takes(first, second)) == 2
    assert len(await ground.takes((SUBJECT, a_report(3)))) == 3


async def test_a_journal_that_was_wiped_is_another(ground):
    await ground.takes((SUBJECT, a_report(7)))
    assert len(await ground.takes((SUBJECT, a_report(1, journal="1" * 16)))) == 2


async def test_another_node_s_number_is_its_own(ground):
    """Nobody makes the log pass over what another is going to say."""
    forged = ("tm.v1.evt.site-1.mole.audit", a_report(2**53))
    entries = await ground.takes(forged, (SUBJECT, a_report(1)))
    assert [entry.fields["node"] for entry in entries] == ["mole", "cam-1"]


async def test_journals_without_number_are_remembered_up_to_a_few(ground):
    said = [(SUBJECT, a_report(1, journal=f"{n:016x}")) for n in range(MAX_JOURNALS + 2)]
    async with ground.gathered(*said):
        pass
    gathering = Gathering(ground.log, ground.clock)
    gathering._marks.recall(ground.log.lines())  # noqa: SLF001
    assert len(gathering._marks._last["site-1", "cam-1"]) == MAX_JOURNALS  # noqa: SLF001


async def test_whose_it_is_cannot_be_said(ground):
    said = a_report().replace(b"{", b'{"site":"site-2","node":"cam-2","actor":"operator",', 1)
    (entry,) = await ground.takes((SUBJECT, said))
    assert (entry.fields["site"], entry.fields["node"]) == ("site-1", "cam-1")
    assert "actor" not in entry.fields


@pytest.mark.parametrize("data", [b"", b"{", b"secret" * 999, b'{"kind":"tenant-add"}'])
async def test_what_is_no_report_is_an_entry_that_repeats_none_of_it(ground, data):
    (entry,) = await ground.takes((SUBJECT, data))
    assert entry.kind == "report-refused"
    assert (entry.fields["site"], entry.fields["node"]) == ("site-1", "cam-1")
    assert "secret" not in entry.line()


async def test_a_flood_is_a_burst_and_one_number(ground):
    flood = [(SUBJECT, a_report(number)) for number in range(1, 501)]
    neighbour = ("tm.v1.evt.site-1.cam-2.audit", a_report(1))
    async with ground.gathered(*flood, neighbour):
        async with asyncio.timeout(20):
            while ground.entries()[-1].kind != "reports-suppressed":
                await ground.clock.advance(LOOK_S)
                await asyncio.sleep(0.002)  # a thread writes
        entries = ground.entries()
    assert len(entries) == NODE_BURST + 2
    assert entries[-1].fields == {"site": "site-1", "node": "cam-1", "times": 500 - NODE_BURST}
    assert [one.fields["node"] for one in entries].count("cam-2") == 1


async def test_a_flood_of_nonsense_is_bounded_too(ground):
    assert len(await ground.takes(*[(SUBJECT, b"?")] * 500)) == NODE_BURST


async def test_a_log_that_was_changed_does_not_end_the_cloud(ground):
    await ground.takes((SUBJECT, a_report()))
    ground.log.path.write_text(ground.log.path.read_text().replace("digits", "forged"))
    with pytest.raises(Exception, match="changed"):
        ground.log.read()
    gathering = Gathering(ground.log, ground.clock)
    gathering._marks.recall(ground.log.lines())  # noqa: SLF001
    assert not gathering._marks._last  # noqa: SLF001
