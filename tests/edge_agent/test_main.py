"""The process: what it imports, how it starts, how it stops, what it says when misused."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest

from edge_agent.bus.nats import connecting
from protocol.adverts import Capacity
from protocol.bundles import Manifest, digest_key
from protocol.codec import Frame, encode
from protocol.messages import Answer, Asks, Replies
from protocol.subjects import AdvertSubject, AskSubject
from tests.build import a_profile, a_task, a_variant, an_answer, an_ask

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
        (["--config", "lost.json"], "no folder"),
        (["--conifg", "none.toml"], "--config"),
    ],
)
def test_misuse_is_one_clear_line_and_exit_2(tmp_path, arguments, says):
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "lost.json").write_text(json.dumps({"node": "a", "site": "b", "bundles": ["no"]}))
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *arguments],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def a_bundle(folder):
    """A replayed variant of the digits task on disk."""
    folder.mkdir(parents=True)
    data = json.dumps({"runs": {"1": [1, 1, 1, 1, 1]}, "outputs": {"scores": [10]}}).encode()
    digest = digest_key(sha256(data).hexdigest())
    profile = a_profile(measured=True)
    variant = a_variant(data=data, digest=digest, profile=profile)
    manifest = Manifest(
        bundle="digits", version=1, task=a_task(), variants=(variant,),
        golden="golden.frame", golden_outputs="golden-outputs.frame",
    )  # fmt: skip
    asks, replies = Asks(items=(an_ask(),)), Replies(items=(an_answer(variant=variant.id),))
    (folder / variant.file).write_bytes(data)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    (folder / "golden.frame").write_bytes(encode(Frame(asks, (bytes(256),))))
    (folder / "golden-outputs.frame").write_bytes(encode(Frame(replies, (bytes(40),))))


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
        "bundles": [str(folder / "bundles")], "period_s": 0.2, **changes,
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
    a_bundle(tmp_path / "bundles" / "digits")
    ask = an_ask(budget_ms=9000, deadline_ms=9000)
    heard = Heard()
    async with (
        connecting(nats_url, name="test") as bus,
        bus.subscribe(AdvertSubject.pattern(site="yard", node="cam"), heard),
        bus.subscribe(f"{(inbox := bus.inbox())}.*", heard),
        a_process(tmp_path, nats_url=nats_url) as process,
    ):
        await heard.until(lambda: heard.adverts)
        asks = Frame(Asks(items=(ask,)), (bytes(256),))
        bus.publish(str(AskSubject("yard", "cam")), asks, f"{inbox}.1")
        await heard.until(lambda: heard.replies)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        await heard.until(lambda: heard.adverts[-1].state == "leaving")
    assert isinstance(heard.replies[0], Answer)
    assert heard.adverts[-1].sequence > heard.adverts[0].sequence


async def test_a_process_without_a_server_can_be_stopped(tmp_path, free_port):
    (tmp_path / "bundles").mkdir()
    async with a_process(tmp_path, nats_url=f"nats://127.0.0.1:{free_port}") as process:
        line = await process.stderr.readline()
        assert b"NATS" in line
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
