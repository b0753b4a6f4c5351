"""A running mesh, started as a user starts it, shared by all of these tests."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from sklearn.datasets import load_digits

from middle_tier.client import Mesh

HELD_OUT = 1200
"""The first of the images that no variant was trained on."""


def tiermesh(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [Path(sys.executable).with_name("tiermesh"), *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=180, **options
    )


def eventually(condition: Callable[[], Any], what: str, within_s: float = 40.0) -> Any:
    """Return what `condition` returns as soon as that is true; fail when it never is."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {within_s:g} s: {what}")


@dataclass(frozen=True)
class Running:
    """What `tiermesh up --detach --json` printed."""

    document: dict[str, Any]

    @property
    def dir(self) -> Path:
        return Path(self.document["dir"])

    def gate(self, site: str = "cloud") -> str:
        return next(g["url"] for g in self.document["gates"] if g["site"] == site)

    def mesh(self, site: str = "cloud") -> Mesh:
        return Mesh(self.gate(site), self.document["token"])

    def reshape(self, relay: str, **shape: object) -> None:
        url = next(r["control_url"] for r in self.document["relays"] if r["name"] == relay)
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
        connection.request("PUT", place.path, json.dumps(shape))
        assert connection.getresponse().status == 200
        connection.close()

    def process(self, name: str) -> dict[str, Any]:
        """A process as it is now: a restarted one has another id."""
        state = json.loads((self.dir / "state.json").read_text())
        return next(p for p in state["processes"] if p["name"] == name)

    def health(self, node: str, site: str = "site-1") -> str | None:
        with self.mesh(site) as mesh:
            nodes = {n["advert"]["node"]: n for n in mesh.nodes()}
        return nodes[node]["health"] if node in nodes else None


@contextmanager
def up(folder: Path, *, edges: int = 2) -> Iterator[Running]:
    """A whole mesh until the block ends; it must be there then, and stop."""
    run = tiermesh("up", "--dir", folder, "--port", 0, "--edges", edges, "--detach", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    try:
        yield Running(json.loads(run.stdout))
    finally:
        stopped = tiermesh("down", "--dir", folder, "--json")
    assert json.loads(stopped.stdout) == {"stopped": True}


@pytest.fixture(scope="session")
def running(tmp_path_factory) -> Iterator[Running]:
    with up(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return load_digits().images[HELD_OUT:].astype(np.float32)


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return load_digits().target[HELD_OUT:]


@pytest.fixture
def site(running) -> Iterator[Mesh]:
    """The site's gate: the edge is near."""
    with running.mesh("site-1") as mesh:
        yield mesh


@pytest.fixture
def cloud(running) -> Iterator[Mesh]:
    """The cloud's gate: the edge is far."""
    with running.mesh("cloud") as mesh:
        yield mesh
