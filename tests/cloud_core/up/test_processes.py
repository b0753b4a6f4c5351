"""Children are kept running, stopped in order, and never outlive who started them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cloud_core.up.processes import Kept, Program, keeping, pause_s
from edge_agent.clock import ManualClock, SystemClock

FOR_EVER = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); signal.pause()"


def a_program(folder: Path, name: str = "p", code: str = FOR_EVER) -> Program:
    return Program(name, (sys.executable, "-c", code), folder / f"{name}.log", "edge", "site-1")


class Changes:
    """Remembers what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.kept: Sequence[Kept] = ()
        self._told = asyncio.Event()

    def __call__(self, kept: Sequence[Kept]) -> None:
        self.kept = kept
        self._told.set()

    async def until(self, wanted) -> None:
        async with asyncio.timeout(20):
            while not wanted(self.kept):
                self._told.clear()
                await self._told.wait()


def all_up(kept: Sequence[Kept]) -> bool:
    return bool(kept) and all(one.state == "up" for one in kept)


def test_the_pause_doubles_up_to_a_limit():
    assert [pause_s(deaths) for deaths in (1, 2, 3, 9)] == [0.25, 0.5, 1.0, 10.0]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
async def test_a_process_runs_on_the_cores_that_it_was_given(tmp_path):
    changes, last = Changes(), max(os.sched_getaffinity(0))
    program = replace(a_program(tmp_path), cores=frozenset({last}))
    async with keeping([program], SystemClock(), changes):
        await changes.until(all_up)
        assert os.sched_getaffinity(changes.kept[0].pid) == {last}


async def test_they_run_and_are_stopped_the_last_first(tmp_path):
    changes, stopped = Changes(), []
    programs = [a_program(tmp_path, name) for name in ("first", "second")]

    def changed(kept: Sequence[Kept]) -> None:
        changes(kept)
        stopped.extend(
            one.program.name
            for one in kept
            if one.state == "stopped" and one.program.name not in stopped
        )

    async with keeping(programs, SystemClock(), changed) as kept:
        await changes.until(all_up)
        pids = [one.pid for one in kept]
    assert stopped == ["second", "first"]
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_a_killed_one_is_started_again_after_a_pause(tmp_path):
    changes, clock = Changes(), ManualClock()
    async with keeping([a_program(tmp_path)], clock, changes) as (one,):
        await changes.until(all_up)
        first = one.pid
        os.kill(first, signal.SIGKILL)
        await changes.until(lambda kept: kept[0].state == "restarting")
        await clock.advance(pause_s(1))
        await changes.until(all_up)
        assert one.pid != first
        assert (one.restarts, one.deaths) == (1, 1)


async def test_what_it_says_is_in_its_log(tmp_path):
    changes, clock = Changes(), ManualClock()
    program = a_program(tmp_path, code="print('no such port'); raise SystemExit(3)")
    async with keeping([program], clock, changes):
        await changes.until(lambda kept: kept and kept[0].state == "restarting")
    assert program.log.read_text() == "no such port\n"


async def test_one_that_cannot_be_started_is_tried_again(tmp_path):
    changes, clock = Changes(), ManualClock()
    (tmp_path / "logs").write_text("in the way")
    async with keeping([a_program(tmp_path / "logs")], clock, changes) as (one,):
        await changes.until(lambda kept: kept and kept[0].state == "restarting")
        assert one.pid is None
        (tmp_path / "logs").unlink()
        await clock.advance(pause_s(1))
        await changes.until(all_up)


async def test_one_that_waits_to_be_started_again_does_not_delay_the_end(tmp_path):
    changes = Changes()
    async with keeping([a_program(tmp_path, code="pass")], ManualClock(), changes) as (one,):
        await changes.until(lambda kept: kept and kept[0].state == "restarting")
    assert one.pid is None


def test_children_die_with_a_parent_that_is_killed(tmp_path):
    code = f"""
import asyncio, sys
from pathlib import Path
from cloud_core.up.processes import Program, keeping
from edge_agent.clock import SystemClock
program = Program("p", (sys.executable, "-c", {FOR_EVER!r}), Path({str(tmp_path)!r}) / "p.log")
def changed(kept):
    if kept[0].pid:
        print(kept[0].pid, flush=True)
async def main():
    async with keeping([program], SystemClock(), changed):
        await asyncio.Event().wait()
asyncio.run(main())
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        assert psutil.wait_procs([child], timeout=20)[0]
