"""A gate in a process of its own, with tenants of the test's: for attacks from outside."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import numpy as np

from cloud_core.issuer import SigningKey
from cloud_core.up.layout import Layout
from cloud_core.up.signed import sign
from edge_agent.bus.kv import Entry
from middle_tier.client import Mesh
from middle_tier.mirror import dump
from middle_tier.register import READY, Issued, Tenant
from tests.middle_tier.http_parts import Answered, a_post, read_answer

ROOT = Path(__file__).parents[1]
TAKEN_BACK = "taken-back"
DIGITS = "/v2/models/digits/infer"
HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: gate\r\n\r\n"
LANES = ("fast", "slow")
IMAGE = {
    "parameters": {"latency_ms": 15_000},
    "inputs": [
        {"name": "image", "datatype": "FP32", "shape": [1, 8, 8], "data": [0.0] * 64},
    ],
}


@dataclass(frozen=True)
class GateProcess:
    """A site of one, behind its gate."""

    url: str
    key: SigningKey
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "gate.log").read_text()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Good ones; `...` takes one out."""
        now = int(time.time())
        claims = {
            "iss": "tiermesh", "aud": "tiermesh", "sub": "acme", "jti": "t-1", "iat": now - 10,
            "exp": now + 3600, "scopes": ["ask", "plan", "read"],
        } | changed  # fmt: skip
        return {name: value for name, value in claims.items() if value is not ...}

    def token(self, **changed: Any) -> str:
        pem = (self.folder / "signing.pem").read_text()
        return jwt.encode(self.claims(**changed), pem, "EdDSA", headers={"kid": self.key.id})

    def ask(self, token: str | None, path: str = DIGITS, lane: str = "fast", **more: Any) -> Any:
        """The answer to one query."""
        header = None if token is None else f"Bearer {token}"
        data = a_post(path, json.dumps(IMAGE | more).encode(), header)
        return asyncio.run(self._sent(data, lane, patience_s=0.0))[0]

    def get(self, path: str, token: str) -> Answered:
        head = f"GET {path} HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\r\n"
        return asyncio.run(self._sent(head.encode(), "fast", patience_s=0.0))[0]

    def send(self, data: bytes, lane: str = "fast") -> list[Answered]:
        """Every answer to raw bytes, until the gate has no more to say."""
        return asyncio.run(self._sent(data, lane, patience_s=0.2))

    async def _sent(self, data: bytes, lane: str, *, patience_s: float) -> list[Answered]:
        place = self.url.removeprefix("http://").rsplit(":", 1)
        reader, writer = await asyncio.open_connection(*place, limit=1 << 20)
        try:
            if lane == "slow":
                writer.write(HEALTHY)
                assert (await read_answer(reader)).status == 200
            writer.write(data)
            answers = [await asyncio.wait_for(read_answer(reader), 20)]
            while patience_s:
                try:
                    answers.append(await asyncio.wait_for(read_answer(reader), patience_s))
                except (TimeoutError, asyncio.IncompleteReadError):
                    break
            return answers
        finally:
            writer.close()


@contextmanager
def a_gate_process(folder: Path, *tenants: Tenant) -> Iterator[GateProcess]:
    """Start it, with these tenants, and wait until it answers."""
    key = SigningKey.kept(folder / "signing.pem")
    (folder / "gate.json").write_text(key.gate_keys())
    entries = [
        *(Entry(f"tenant.{one.name}", one.model_dump_json().encode(), 1) for one in tenants),
        Entry(
            f"token.{TAKEN_BACK}",
            Issued(id=TAKEN_BACK, tenant="acme", revoked=1).model_dump_json().encode(), 1,
        ),
        Entry(READY, b"{}", 1),
    ]  # fmt: skip
    state = folder / "state"
    (state / "desired").mkdir(parents=True)
    (state / "desired" / "tenants.json").write_bytes(dump(entries))
    mesh = Layout(folder / "mesh")
    sign(mesh, ROOT / "deploy" / "demo", (), time.time)
    config = {
        "site": "alone", "tier": "edge", "nats_url": None, "port": 0,
        "keys": str(folder / "gate.json"), "state_dir": str(state),
        "agent": {
            "node": "alone-1", "site": "alone", "bundles": [str(mesh.repository)],
            "trust": str(mesh.bundle_root), "state_dir": str(state),
            "warm": ["mlp-tiny*"], "price": {"usd_per_hour": 1.0},
        },
    }  # fmt: skip
    (folder / "gate-config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "middle_tier", "--config", folder / "gate-config.json"]
    with (folder / "gate.log").open("w") as log:
        process = subprocess.Popen([*command, "--log-level", "debug"], stderr=log, cwd=ROOT)
    try:
        gate = GateProcess(_url(folder / "gate.log", process), key, folder)
        _warm(gate)
        yield gate
    finally:
        process.terminate()
        process.wait(30)


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    for _ in range(1200):
        found = re.search(r"is ready at (http://\S+)", log.read_text())
        if found:
            return found.group(1)
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _warm(gate: GateProcess) -> None:
    """Wait until the demo's bundles are installed, and its task is answered."""
    token = gate.token(sub="warmer", jti="warmer")
    for _ in range(1200):
        if gate.get("/readyz", token).status == 200:
            break
        time.sleep(0.05)
    with Mesh(gate.url, token) as mesh:
        mesh.ask("digits", np.zeros((1, 8, 8), np.float32), latency_ms=20_000)
