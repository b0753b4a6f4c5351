"""What the benchmark runs on: cores to pin to, CPU time of processes, a line that describes it."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil

CORES = sorted(os.sched_getaffinity(0))
SERVER, GENERATOR, BOTH = {CORES[0]}, {CORES[-1]}, {CORES[0], CORES[-1]}


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """Processes started in this block run on `cores` and nowhere else."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """User and system time so far of a process and all below it."""
    root = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in (root, *root.children(recursive=True)))


def description() -> str:
    """The machine and the versions that matter, in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    model = found[1] if found else platform.machine()
    packages = ("onnxruntime", "fastapi", "uvicorn", "uvloop", "httptools", "nats-py")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{model}, {len(CORES)} cores, Python {platform.python_version()}, {versions}"
