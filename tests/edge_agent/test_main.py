"""The process: what it imports, how it starts, how it stops, what it says when misused."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest

from edge_agent.bus.nats import connecting
from protocol.adverts import Capacity
from protocol.codec import Frame
from protocol.messages import Answer, Asks
from protocol.subjects import AdvertSubject, AskSubject
from tests.build import an_ask
from tests.signed import a_folder, a_repository

FORBIDDEN = ("torch", "aiohttp", "middle_tier", "cloud_core", "onnxruntime", "ai_edge_litert")
IMPORTS = """
import sys
import edge_agent.__main__
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_starting_an_agent_imports_nothing_heavy_and_nothing_above_it():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *FORBIDDEN], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--config"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
        (["--config", "empty.json"], "node: is missing"),
        (["--config", "lost.json"], "set trust"),
        (["--config", "rootless.json"], "1.root.json: cannot be read"),
        (["--conifg", "none.toml"], "--config"),
    ],
)
def test_misuse_is_one_clear_line_and_exit_2(tmp_path, arguments, says):
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "lost.json").write_text(json.dumps({"node": "a", "site": "b", "bundles": ["no"]}))
    rootless = {"node": "a", "site": "b", "trust": "1.root.json"}
    (tmp_path / "rootless.json").write_text(json.dumps(rootless))
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *arguments],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def a_signed_bundle(folder):
    """A replayed variant of the digits task in a repository; what an agent is given to trust it."""
    repository = a_repository(folder, time.time)
    repository.publish(a_folder(folder / "built"), publisher="acme")
    return {
        "bundles": [str(repository.store.folder)],
        "trust": str(repository.store.folder / "metadata" / "1.root.json"),
    }


class Heard:
    """What the process said, and a way to wait for it."""

    def __init__(self):
        self.adverts, self.replies, self._more = [], [], asyncio.Event()

    def __call__(self, delivery):
        message = delivery.frame.message
        if isinstance(message, Capacity):
            self.adverts.append(message)
        else:
            self.replies.extend(message.items)
        self._more.set()

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def a_process(folder, **changes):
    config = {
        "node": "cam", "site": "yard", "state_dir": str(folder / "state"),
        "period_s": 0.2, **changes,
    }  # fmt: skip
    (folder / "agent.json").write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent", "--config", str(folder / "agent.json"),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.nats
async def test_a_process_serves_and_drains_when_told_to_stop(tmp_path, nats_url):
    stock = a_signed_bundle(tmp_path)
    ask = an_ask(budget_ms=9000, deadline_ms=9000)
    heard = Heard()
    async with (
        connecting(nats_url, name="test") as bus,
        bus.subscribe(AdvertSubject.pattern(site="yard", node="cam"), heard),
        bus.subscribe(f"{(inbox := bus.inbox())}.*", heard),
        a_process(tmp_path, nats_url=nats_url, **stock) as process,
    ):
        await heard.until(lambda: heard.adverts and heard.adverts[-1].revision > 0)
        asks = Frame(Asks(items=(ask,)), (bytes(256),))
        bus.publish(str(AskSubject("yard", "cam")), asks, f"{inbox}.1")
        await heard.until(lambda: heard.replies)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        await heard.until(lambda: heard.adverts[-1].state == "leaving")
    assert isinstance(heard.replies[0], Answer)
    assert heard.adverts[-1].sequence > heard.adverts[0].sequence


async def test_a_process_without_a_server_can_be_stopped(tmp_path, free_port):
    async with a_process(tmp_path, nats_url=f"nats://127.0.0.1:{free_port}") as process:
        line = await process.stderr.readline()
        assert b"NATS" in line
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
