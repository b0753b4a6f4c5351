"""The load generator as Python sees it: compiled, run pinned, its line of JSON read."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmark.machine import on

SOURCE = Path(__file__).with_name("generator.c")


def compiled(folder: Path) -> Path:
    """The program, in `folder`."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SystemExit("the load generator needs a C compiler: install cc, gcc or clang")
    program = folder / "generator"
    subprocess.run([compiler, "-O2", "-o", program, SOURCE], check=True)
    return program


@contextmanager
def workshop() -> Iterator[tuple[Path, Path]]:
    """A folder that goes away, and the compiled program in it."""
    with tempfile.TemporaryDirectory(prefix="tiermesh-bench-") as name:
        yield Path(name), compiled(Path(name))


def load(
    program: Path, port: int, requests: Path, *, clients: int, seconds: float, cores: set[int]
) -> dict[str, float]:
    """Run the closed loop; raise when a single answer was wrong."""
    warm_up = max(0.3, seconds / 4)
    command = [program, "load", str(port), str(clients), str(warm_up), str(seconds), requests]
    with on(cores):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load was not answered rightly: {done.stderr or done.stdout}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured | {"rate": measured["answered"] / measured["seconds"]}


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def responder(program: Path, answer: Path, cores: set[int]) -> Iterator[int]:
    """A server that does nothing: what the generator itself can do shows against it."""
    port = free_port()
    with on(cores):
        process = subprocess.Popen([program, "respond", str(port), answer])
    try:
        await_listening(port)
        yield port
    finally:
        process.kill()
        process.wait()


def await_listening(port: int) -> None:
    """Return when somebody accepts connections there."""
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")
