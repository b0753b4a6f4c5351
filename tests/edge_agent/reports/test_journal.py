"""What a node refused is kept until it is taken: through a restart, bounded, and counted beyond."""

import json
import sqlite3

import pytest

from edge_agent.clock import ManualClock
from edge_agent.reports.journal import BURST, MAX_WAITING, Journal
from edge_agent.reports.report import MAX_BYTES, read

SUBJECT = "tm.v1.evt.site-1.cam-1.audit"


def a_journal(folder, clock=None):
    return Journal(folder / "refused.db", SUBJECT, clock or ManualClock())


def refuse(journal, what="demo/digits/1"):
    journal.record("trust-refused", what=what, reason="untrusted", error="its bytes were changed")


def taken(journal):
    """Everything that it has to tell."""
    reports = []
    while item := journal.next():
        assert item.subject == SUBJECT
        reports.append(read(item.data))
        assert reports[-1].id == item.id
        journal.taken(item.id)
    return reports


def test_a_refusal_is_kept_as_it_was(tmp_path):
    journal = a_journal(tmp_path)
    refuse(journal)
    (report,) = taken(journal)
    assert (report.kind, report.what) == ("trust-refused", "demo/digits/1")
    assert (report.reason, report.error) == ("untrusted", "its bytes were changed")
    assert report.at == ManualClock().wall()
    assert not journal.waiting


@pytest.mark.parametrize("kind", ["bundle-installed", "tenant-add", "policy-apply"])
def test_what_is_no_refusal_stays_in_the_process_s_own_log(tmp_path, kind, caplog):
    journal = a_journal(tmp_path)
    journal.record(kind, what="x")
    assert journal.next() is None
    assert kind in caplog.text


def test_what_waits_is_there_after_a_crash_and_numbers_go_on(tmp_path):
    refuse(a_journal(tmp_path), "first")
    again = a_journal(tmp_path)
    refuse(again, "second")
    reports = taken(again)
    assert [(one.what, one.number) for one in reports] == [("first", 1), ("second", 2)]
    assert reports[0].journal == reports[1].journal


def test_one_that_was_not_taken_comes_again_under_its_id(tmp_path):
    journal = a_journal(tmp_path)
    refuse(journal)
    assert journal.next() == journal.next()


def test_a_flood_takes_no_more_than_so_much_disk_and_is_counted(tmp_path):
    journal = a_journal(tmp_path)
    for number in range(1000):
        refuse(journal, f"bundle-{number}")
    assert journal.waiting == MAX_WAITING
    reports = taken(journal)
    assert sum(1 + one.unsaid for one in reports) == 1000


def test_a_cut_of_a_year_takes_no_more_than_so_much_disk(tmp_path):
    clock = ManualClock()
    journal = a_journal(tmp_path, clock)
    for _ in range(365):
        clock._now += 86400.0  # noqa: SLF001  # nobody sleeps
        refuse(journal)
    assert journal.waiting == MAX_WAITING
    assert sum(1 + one.unsaid for one in taken(journal)) == 365


def test_what_came_when_all_was_being_told_is_counted_with_the_next(tmp_path):
    clock = ManualClock()
    journal = a_journal(tmp_path, clock)
    for _ in range(BURST):
        refuse(journal)
        taken(journal)
    refuse(journal)
    assert not journal.waiting
    clock._now += 3600.0  # noqa: SLF001  # nobody sleeps
    refuse(journal)
    (report,) = taken(journal)
    assert report.unsaid == 1


def test_what_is_said_fits_whatever_is_refused(tmp_path):
    journal = a_journal(tmp_path)
    journal.record("trust-refused", what="\x1b" * 9999, reason="\U0001f600" * 999, error='"' * 9999)
    item = journal.next()
    assert len(item.data) <= MAX_BYTES
    assert read(item.data).what.isprintable()


def test_a_disk_that_fails_does_not_end_the_node(tmp_path, caplog):
    journal = a_journal(tmp_path)
    with sqlite3.connect(tmp_path / "refused.db") as other:
        other.execute("drop table outbox")
    refuse(journal)
    assert "not kept for the cloud" in caplog.text
    assert "its bytes were changed" in caplog.text


def test_a_report_carries_no_field_but_those_of_the_form(tmp_path):
    journal = a_journal(tmp_path)
    journal.record("trust-refused", what="x", token="secret", payload="secret")
    assert b"secret" not in journal.next().data
    assert json.loads(journal.next().data).keys() == {
        "journal", "number", "kind", "at", "what", "reason", "error", "count", "unsaid",
    }  # fmt: skip
