"""The audit log on a disk: kept at once, written by several, whole after a crash."""

import fcntl
import stat
import subprocess
import sys

import pytest

from cloud_core.audit.log import AuditLog
from edge_agent.clock import ManualClock


def a_log(folder):
    return AuditLog(folder / "audit" / "log.jsonl", ManualClock())


def test_what_is_recorded_is_read_back(tmp_path):
    log = a_log(tmp_path)
    log.record("tenant-add", actor="operator", tenant="acme")
    log.record("tenant-remove", actor="operator", tenant="acme")
    first, second = log.read()
    assert (first.n, first.kind, first.fields["tenant"]) == (1, "tenant-add", "acme")
    assert log.read(after=1) == [second]
    assert log.read(limit=1) == [first]
    assert log.verify() == (second.head, "")


def test_only_its_owner_may_read_it(tmp_path):
    log = a_log(tmp_path)
    log.record("x")
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_one_that_nobody_wrote_is_empty_and_sound(tmp_path):
    assert a_log(tmp_path).read() == []
    assert a_log(tmp_path).verify() == ((0, "0" * 64), "")


def test_a_line_torn_by_a_crash_is_dropped_and_said(tmp_path):
    log = a_log(tmp_path)
    log.record("one")
    log.record("two")
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-7])
    assert [entry.kind for entry in log.read()] == ["one"]
    log.record("three")
    assert [entry.kind for entry in log.read()] == ["one", "audit-mended", "three"]
    assert log.verify().fault == ""


def test_nothing_is_appended_to_a_log_whose_end_was_changed(tmp_path):
    log = a_log(tmp_path)
    log.record("one")
    log.path.write_text(log.path.read_text().replace("one", "two"))
    assert log.verify().fault


def test_several_processes_write_one_chain(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from cloud_core.audit.log import AuditLog; from edge_agent.clock import SystemClock\n"
        "log = AuditLog(Path(sys.argv[1]), SystemClock())\n"
        "print('here', flush=True); sys.stdin.readline()\n"
        "[log.record('turn', by=sys.argv[2], number=n) for n in range(200)]\n"
    )
    path = a_log(tmp_path).path
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n in range(3)
    ]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:  # all at once: they stand ready
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    checked = a_log(tmp_path).verify()
    assert (checked.head.n, checked.fault) == (600, "")


def test_nobody_else_writes_between_reading_the_head_and_appending(tmp_path):
    path = a_log(tmp_path).path

    class Trying(ManualClock):
        """Another process that comes just while an entry is made."""

        def wall(self) -> float:
            with path.open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return super().wall()

    AuditLog(path, Trying()).record("one")


def test_two_who_write_in_turn_make_one_chain(tmp_path):
    for log in (a_log(tmp_path), a_log(tmp_path)) * 3:
        log.record("turn")
    checked = a_log(tmp_path).verify()
    assert (checked.head.n, checked.fault) == (6, "")
