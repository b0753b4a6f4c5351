"""Who is measured, and how each is started, awaited, asked and stopped."""

import http.client
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.benchmark.generator import free_port
from tests.benchmark.machine import BOTH, GENERATOR, SERVER, on
from tests.benchmark.workload import Workload, oip_request, raw_request

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
TASK = "bench"
SCRIPTS = Path(sysconfig.get_path("scripts"))


Command = Callable[[Workload, int, Path], list[str]]
"""Workload, port and a folder for what it keeps -> what to start."""


@dataclass(frozen=True)
class Contestant:
    """A server under test."""

    name: str
    command: Command
    request: Callable[[Workload, npt.NDArray[np.float32]], bytes]
    ready: str
    cores: set[int] = field(default_factory=lambda: SERVER)
    generator_cores: set[int] = field(default_factory=lambda: GENERATOR)


def uvicorn(workers: int) -> Command:
    return lambda _given, port, _folder: [
        sys.executable, "-m", "uvicorn", "tests.benchmark.fastapi_server:app", "--port", str(port),
        "--workers", str(workers), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip


def serve(*more: str) -> Command:
    return lambda given, port, folder: [
        str(SCRIPTS / "tiermesh"), "serve", str(given.model), "--name", TASK, "--port", str(port),
        "--threads", "1", "--no-auth", "--dir", str(folder), *more,
    ]  # fmt: skip


def raw(_: Workload, image: npt.NDArray[np.float32]) -> bytes:
    return raw_request(image)


def oip(given: Workload, image: npt.NDArray[np.float32]) -> bytes:
    return oip_request(image, task=TASK, inputs=given.input_name)


FASTAPI = Contestant("fastapi, 1 worker", uvicorn(1), raw, "/ready")
FASTAPI_2 = Contestant("fastapi, 2 workers", uvicorn(2), raw, "/ready", BOTH, BOTH)
SERVE = Contestant("tiermesh serve", serve(), oip, f"/v2/models/{TASK}/ready")
SERVE_NATS = Contestant(
    "tiermesh serve --nats", serve("--nats"), oip, f"/v2/models/{TASK}/ready", BOTH, BOTH
)
ALL = (FASTAPI, SERVE, FASTAPI_2, SERVE_NATS)


class Wrong(Exception):  # noqa: N818  # it is what happened
    """A server did not get ready, or gave a wrong answer."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    pid: int


@contextmanager
def running(contestant: Contestant, given: Workload, log: Path) -> Iterator[Running]:
    """Start it on its cores, wait until it is ready, check its answers; stop it afterwards."""
    port = free_port()
    environment = os.environ | {"MODEL": str(given.model)}
    with on(contestant.cores), log.open("wb") as output:
        process = subprocess.Popen(
            contestant.command(given, port, log.parent),
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await_ready(contestant, process, port)
        check(contestant, given, port)
        yield Running(port, process.pid)
    except Wrong as error:
        tail = log.read_text(errors="replace")[-3000:]
        raise SystemExit(f"{contestant.name} {error}\n{tail}") from error
    finally:
        stop(process)


def await_ready(contestant: Contestant, process: subprocess.Popen[bytes], port: int) -> None:
    """Return when the server says that it is ready; raise when it ends or takes too long."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", contestant.ready)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise Wrong("did not get ready")


def check(contestant: Contestant, given: Workload, port: int) -> None:
    """Every image, over HTTP, must get the scores that the model itself gives."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    for image, scores in zip(given.images, given.scores, strict=True):
        connection.sock.sendall(contestant.request(given, image))
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise Wrong(f"answered {answer.status}: {body[:500]!r}")
        got = np.frombuffer(body[-scores.nbytes :], np.float32)
        if not np.allclose(got, scores, atol=1e-3):
            raise Wrong(f"answered {got}, the model says {scores}")
    connection.close()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; after some seconds end it and all that it started."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
