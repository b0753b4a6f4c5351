"""Child processes that are kept running until the block ends, and never outlive their parent.

What they are is topology's to say; that they answer is ready's to find out.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_agent.background import beside
from edge_agent.clock import Clock

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
SETTLED_S = 10.0
"""A process that has lived this long counts as sound: its next death is a first one."""
STOP_S = 15.0
"""How long a process may take to stop when told; then it is killed."""

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run."""

    name: str
    command: tuple[str, ...]
    log: Path
    tier: str | None = None
    """None for what carries the mesh and is not a node of it: servers and relays."""
    site: str | None = None
    cores: frozenset[int] | None = None
    """Where it may run; None: wherever its parent may."""


def pause_s(deaths: int) -> float:
    """Pure. How long to wait before starting again after so many deaths in a row."""
    return float(min(10.0, 0.25 * 2 ** (deaths - 1)))


class Kept:
    """One program, and the process that runs it now."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.state: Literal["starting", "up", "restarting", "stopped"] = "starting"
        self.pid: int | None = None
        self.deaths = 0
        """In a row."""
        self.restarts = 0
        self.stopping = False
        self.ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Kept {self.program.name} | {self.state} | {self.pid} | {self.restarts} restarts>"

    def stop(self) -> None:
        """Tell it to stop; it is not started again."""
        self.stopping = True
        if self.pid is not None:
            _signal(self.pid, signal.SIGTERM)

    async def keep(self, clock: Clock, changed: Callable[[], None]) -> None:
        """Run it again and again until it is told to stop."""
        while not self.stopping:
            started = clock.now()
            code = await self._live(changed)
            self.pid = None
            if self.stopping:
                break
            self.deaths = 1 if clock.now() - started > SETTLED_S else self.deaths + 1
            self.restarts += 1
            self.state = "restarting"
            log.warning("%s ended with %s: restarting", self.program.name, code)
            changed()
            await clock.sleep(pause_s(self.deaths))
        self.state = "stopped"
        self.ended.set()
        changed()

    async def _live(self, changed: Callable[[], None]) -> int | str:
        """Run it once; return its exit status, or why there was no process."""
        try:
            process = await _spawn(self.program)
        except OSError as error:  # no more processes, no log on a full disk: that may pass
            return str(error)
        self.pid, self.state = process.pid, "up"
        changed()
        if self.stopping:
            _signal(process.pid, signal.SIGTERM)
        return await process.wait()


@asynccontextmanager
async def keeping(
    programs: Sequence[Program], clock: Clock, changed: Callable[[Sequence["Kept"]], None]
) -> AsyncIterator[tuple[Kept, ...]]:
    """Run them all until the block ends; then stop them, the last first, one after another."""
    kept = tuple(Kept(program) for program in programs)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as tasks:
            for one in kept:
                tasks.create_task(one.keep(clock, lambda: changed(kept)), name=one.program.name)

    async with beside(all_of_them(), "processes"):
        try:
            yield kept
        finally:
            for one in reversed(kept):
                await _stop(one)


async def _stop(one: Kept) -> None:
    one.stop()
    if one.pid is None:
        return
    try:
        async with asyncio.timeout(STOP_S):
            await one.ended.wait()
    except TimeoutError:
        log.warning("%s did not stop in %g s: killed", one.program.name, STOP_S)
        if one.pid is not None:
            _signal(one.pid, signal.SIGKILL)
            await one.ended.wait()


async def _spawn(program: Program) -> asyncio.subprocess.Process:
    """Start it in a session of its own (Ctrl-C is ours to pass on), its output to its log."""
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid(), program.cores),  # system calls, which take no lock
        )


def _die_with(parent: int, cores: frozenset[int] | None) -> Callable[[], None]:
    """Return what makes a child die with its parent, even when that is killed (Linux only).

    It also puts the child on its cores.
    """

    def tie() -> None:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return tie


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.debug("%s is gone already", pid)
