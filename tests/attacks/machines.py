"""A mesh as `tiermesh init` writes it, started as on two machines: servers, the cloud, a site."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud_core.identity.founding import Plan, founded
from cloud_core.up import ports
from cloud_core.up.layout import Layout
from cloud_core.up.signed import sign
from middle_tier.client import Mesh
from protocol.errors import MeshError

SITE = "berlin"
ROOT = Path(__file__).parents[2]


@dataclass
class Machines:
    """Two folders as on two machines, and where their servers and gates are."""

    folder: Path
    hub: int
    site: int
    leaf: int
    gate: int
    site_gate: int

    @property
    def url(self) -> str:
        """Of the cloud's gate."""
        return f"https://127.0.0.1:{self.gate}"

    @property
    def ca(self) -> Path:
        return self.folder / "device" / "ca.crt"

    @property
    def token(self) -> str:
        """The operator's."""
        return (self.folder / "tokens" / "operator").read_text().strip()

    @property
    def node(self) -> dict[str, object]:
        """The cloud's own: what an operator adds to what `init` wrote."""
        return {
            "node": "cloud-1", "site": "cloud", "tier": "cloud", "warm": ["mlp-tiny*"],
            "state_dir": str(self.folder / "data-hub" / "cloud-1"),
        }  # fmt: skip

    def etc(self, name: str) -> Path:
        return self.folder / name

    def log(self, name: str) -> Path:
        """What a process has said."""
        return self.folder / f"{name}.log"

    def put(self, name: str) -> None:
        """Move a folder to where its machine would have it: its own ports, its own paths."""
        port = self.hub if name == "hub" else self.site
        gate = self.gate if name == "hub" else self.site_gate
        here = [
            ("/etc/tiermesh", str(self.etc(name))),
            (":4222", f":{port}"),
            (":7422", f":{self.leaf}"),
        ]
        here += [("/var/lib/tiermesh", str(self.folder / f"data-{name}")), ("0.0.0.0", "127.0.0.1")]  # noqa: S104
        for path in (*self.etc(name).glob("*.json"), self.etc(name) / "nats.conf"):
            text = path.read_text()
            for there, found in here:
                text = text.replace(there, found)
            if path.suffix == ".json":
                own = {"agent": self.node} if name == "hub" else {}
                text = json.dumps(json.loads(text) | {"port": gate} | own)
            path.write_text(text)


@contextmanager
def two_machines(folder: Path, nats_program: Path) -> Iterator[Machines]:
    """Start a hub and a site until the block ends; the cloud's process has a node of its own."""
    founded(Plan(folder, "127.0.0.1", {SITE: "127.0.0.1"}), time.time())
    made = Machines(folder, *ports.free(5))
    sign(Layout(made.etc("hub")), ROOT / "deploy" / "demo", (), time.time)
    started = []

    def start(name: str, *command: object) -> None:
        with made.log(name).open("wb") as log:
            started.append(subprocess.Popen([*map(str, command)], stdout=log, stderr=log))

    for name in ("hub", SITE):
        made.put(name)
        start(f"nats-{name}", nats_program, "-c", made.etc(name) / "nats.conf")
    python = (sys.executable, "-m")
    start("cloud", *python, "cloud_core", "--config", made.etc("hub") / "cloud.json")
    start("site", *python, "middle_tier", "--config", made.etc(SITE) / "site.json")
    try:
        yield made
    finally:
        for process in reversed(started):  # servers last, as they are started first
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def sites(machines: Machines) -> set[str]:
    """The sites that the cloud has heard of."""
    with Mesh(machines.url, machines.token, ca=machines.ca) as mesh:
        return {site["site"] for site in mesh.sites()}


def until(condition, what: str, within_s: float = 40.0):
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except MeshError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not within {within_s:g} s: {what}")
