"""Two real agents with one identity are noticed and shut out; one whose connection hung is not."""

import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest

from edge_agent.bus.nats import connecting
from edge_agent.clock import SystemClock
from edge_agent.identity.passport import Passport
from middle_tier.routing.ears import Ears
from middle_tier.view import View
from protocol.adverts import Capacity
from tests.attacks.frozen import freezable
from tests.attacks.test_identity_enrolment import a_cloud
from tests.grounds import SITE, eventually, is_refused

pytestmark = pytest.mark.nats

PING_S = 0.4
CLONE_AFTER_S = 2 * PING_S
"""As it is by default: 20 s for pings every 10."""
PERIOD_S = 0.2
LONG = 20
"""Adverts of one process in a row: many times as long as a clone needs to be noticed."""


@dataclass
class Scene:
    """A site that listens, a device that has joined, and what was heard of it."""

    cloud: object
    folder: object
    credentials: object
    node: str
    heard: list[str] = field(default_factory=list)
    """The boot of each advert."""

    @property
    def boots(self) -> list[str]:
        """Those heard, each once, in the order in which they came."""
        return list(dict.fromkeys(self.heard))

    @property
    def state(self) -> str:
        known = self.cloud.registry.identities
        return next(one.state for one in known if one.node == self.node)

    def takes_over(self, boot: str, since: int) -> bool:
        """Whether nothing but this boot has been heard for long, after so many adverts."""
        late = self.heard[since:][-LONG:]
        return len(late) == LONG and set(late) == {boot}

    @contextmanager
    def agent(self, place: str, port: int = 0):
        """A process with the device's credentials, which somebody may have copied."""
        config = self.folder / f"{place}.json"
        url = f"nats://127.0.0.1:{port or self.cloud.ground.site}"
        said = {
            "node": self.node, "site": SITE, "nats_url": url, "state_dir": str(self.folder / place),
            "nats_credentials": str(self.folder / self.node), "hardware": "box",
            "period_s": PERIOD_S, "ping_s": PING_S, "drain_s": 0.1,
        }  # fmt: skip
        config.write_text(json.dumps(said))
        command = [sys.executable, "-m", "edge_agent", "--config", config]
        with (self.folder / f"{place}.log").open("w") as log:
            running = subprocess.Popen(command, stderr=log)
        try:
            yield running
        finally:
            running.kill()
            running.wait()

    async def hears(self, boots: int) -> None:
        """Wait until so many processes have been heard."""
        await eventually(lambda: len(self.boots) >= boots, within_s=40)


@asynccontextmanager
async def a_scene(ground, folder, node):
    """The cloud's registry, and the ears of a site, over the real servers."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        cloud = await enter(a_cloud(ground))
        credentials = await cloud.joins(folder, await cloud.token(), node)
        ground.holds("site", SITE, tier="middle")
        site = Passport.read(ground.path("site", SITE))
        url = f"nats://127.0.0.1:{ground.site}"
        bus = await enter(connecting(url, name="site", passport=site))
        scene = Scene(cloud, folder, credentials, node)

        def heard(delivery) -> None:
            if isinstance(delivery.frame.message, Capacity):
                scene.heard.append(delivery.frame.message.boot)

        await enter(bus.subscribe(f"tm.v1.ad.*.{SITE}.{node}", heard))
        view = View(SITE, tier="middle")
        ears = Ears(bus, SystemClock(), view, SITE, clone_after_s=CLONE_AFTER_S)
        await enter(ears.open(below=False))
        yield scene


async def test_two_agents_with_one_identity_are_shut_out(ground, tmp_path):
    async with a_scene(ground, tmp_path, "twin-a") as scene:
        with scene.agent("first"), scene.agent("copy"):
            await scene.hears(2)
            await eventually(lambda: scene.state == "quarantined", within_s=20)
            detail = next(
                one.detail for one in scene.cloud.registry.identities if one.node == "twin-a"
            )
            assert all(boot in detail for boot in scene.boots[:2])
        assert await is_refused(ground.site, scene.credentials)
        kinds = [kind for kind, _ in scene.cloud.audit.entries]
        assert kinds.count("identity-quarantine") == 1


async def test_a_reconnect_that_leaves_a_half_open_connection_is_no_clone(ground, tmp_path):
    """The server holds the old connection; what was on its way there arrives behind the new."""
    async with (
        a_scene(ground, tmp_path, "half-a") as scene,
        freezable(ground.site) as link,
    ):
        with scene.agent("only", link.port):
            await scene.hears(1)
            link.freeze()
            before, already = len(scene.heard), link.connections
            await eventually(lambda: link.connections > already, within_s=20)
            await eventually(lambda: len(scene.heard) > before, within_s=20)
            link.thaw()
            since = len(scene.heard)
            await eventually(lambda: scene.takes_over(scene.boots[0], since), within_s=20)
        assert scene.state == "active"
        assert len(scene.boots) == 1


async def test_the_last_words_of_a_process_that_was_replaced_are_no_clone(ground, tmp_path):
    """It hung, another was started in its place, and then it woke up for a moment."""
    async with a_scene(ground, tmp_path, "half-b") as scene:
        with scene.agent("old") as old:
            await scene.hears(1)
            old.send_signal(signal.SIGSTOP)
            with scene.agent("new"):
                await scene.hears(2)
                first, second = scene.boots
                await eventually(lambda: scene.heard[-3:] == [second] * 3, within_s=20)
                since = len(scene.heard)
                old.send_signal(signal.SIGCONT)
                await eventually(lambda: first in scene.heard[since:], within_s=20)
                old.kill()
                since = len(scene.heard)
                await eventually(lambda: scene.takes_over(second, since), within_s=20)
        assert scene.state == "active"


async def test_what_a_dead_process_had_sent_and_arrives_late_is_no_clone(ground, tmp_path):
    """Its connection hung with adverts on the way; it was restarted; then they arrived."""
    async with (
        a_scene(ground, tmp_path, "half-c") as scene,
        freezable(ground.site) as link,
    ):
        with scene.agent("old", link.port) as old:
            await scene.hears(1)
            link.freeze()
            await eventually(lambda: link.held, within_s=20)
            old.kill()
        with scene.agent("new", link.port):
            await scene.hears(2)
            first, second = scene.boots
            since = len(scene.heard)
            link.thaw()
            await eventually(lambda: first in scene.heard[since:], within_s=20)
            since = len(scene.heard)
            await eventually(lambda: scene.takes_over(second, since), within_s=20)
        assert scene.state == "active"
