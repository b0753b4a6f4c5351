"""What a hostile node can do to the audit log: speak for itself, briefly. Real servers."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from cloud_core.audit.bounds import NODE_BURST
from cloud_core.audit.gathering import MOST, Gathering
from cloud_core.audit.log import AuditLog
from edge_agent.background import beside
from edge_agent.bus.nats import connecting
from edge_agent.clock import SystemClock
from edge_agent.identity.passport import Passport
from edge_agent.reports.report import MAX_BYTES, Report
from edge_agent.reports.telling import telling
from protocol.errors import UnreachableError
from tests.grounds import SITE, Grounds, connected, eventually

pytestmark = pytest.mark.nats


@dataclass
class Cloud:
    """What gathers at the hub."""

    ground: Grounds
    log: AuditLog

    def of(self, node: str) -> list[tuple[str, str]]:
        """Kind and what, of each entry of a node."""
        return [
            (entry.kind, str(entry.fields.get("what", "")))
            for entry in self.log.read()
            if entry.fields.get("node") == node
        ]


@asynccontextmanager
async def a_cloud(ground: Grounds, folder):
    clock = SystemClock()
    ground.holds("cloud", "cloud", "cloud", "cloud")
    passport = Passport.read(ground.path("cloud", "cloud", "cloud"))
    log = AuditLog(folder / "log.jsonl", clock)
    async with (
        connecting(f"nats://127.0.0.1:{ground.hub}", name="cloud", passport=passport) as bus,
        beside(Gathering(log, clock).gather(bus.streams()), "gather"),
    ):
        yield Cloud(ground, log)


@asynccontextmanager
async def a_node(ground: Grounds, name: str):
    """A node's connection, at its site's server."""
    ground.holds("agent", name)
    passport = Passport.read(ground.path("agent", name))
    url = f"nats://127.0.0.1:{ground.site}"
    async with connecting(url, name=name, passport=passport) as bus:
        yield bus


def a_report(number: int = 1, **changes) -> bytes:
    said = {"journal": "0" * 16, "number": number, "kind": "trust-refused", "at": 1.0, "what": "x"}
    return Report.model_validate(said | changes).model_dump_json().encode()


def subject(node: str) -> str:
    return f"tm.v1.evt.{SITE}.{node}.audit"


async def kept(bus, node: str, data: bytes, message_id: str) -> bool:
    """Whether the hub keeps it; where nobody says so in time, it is asked again under its id."""
    for _ in range(5):
        try:
            await bus.streams().put(subject(node), data, message_id)
        except UnreachableError as error:
            if "Timeout" not in error.error:
                return False
        else:
            return True
    return False


async def told(cloud: Cloud, bus, node: str) -> None:
    """Have a node tell one thing, and wait until it stands in the log."""
    async with asyncio.timeout(20):
        while not await kept(bus, node, a_report(), f"{node}.1"):  # noqa: ASYNC110  # the hub's
            await asyncio.sleep(0.05)  # the stream is being made
    await eventually(lambda: cloud.of(node), within_s=20)


async def test_what_a_node_refuses_reaches_the_cloud_s_log_by_way_of_its_site(ground, tmp_path):
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "cam-a") as bus:
        speaker = SITE, "cam-a"
        async with telling(tmp_path, speaker, bus.streams(), SystemClock()) as journal:
            journal.record("trust-refused", what="demo/digits/1", error="its bytes were changed")
            await eventually(lambda: cloud.of("cam-a"), within_s=20)
            await eventually(lambda: not journal.waiting)
        assert cloud.of("cam-a") == [("trust-refused", "demo/digits/1")]
        assert not cloud.log.verify().fault


@pytest.mark.parametrize("whose", ["cam-b", "gate"])
async def test_a_node_writes_nothing_in_another_s_name(ground, tmp_path, whose):
    """The server refuses the subject; what the body claims is nobody's."""
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, f"mole-{whose}") as bus:
        await told(cloud, bus, f"mole-{whose}")
        async with connected(ground.site, ground.holds("agent", f"mole-{whose}")) as mole:
            await mole.says(subject(whose), a_report(2))
            assert "permissions violation" in mole.refused[0]
            await mole.says("tm.v1.evt.site-2.cam-1.audit", a_report(2))
            assert "permissions violation" in mole.refused[1]
        forged = json.loads(a_report(3)) | {"site": "site-2", "node": whose, "actor": "operator"}
        assert await kept(bus, f"mole-{whose}", json.dumps(forged).encode(), f"{whose}.3")
        await eventually(lambda: len(cloud.of(f"mole-{whose}")) == 2)
        assert cloud.of(whose) == []
        assert {e.fields.get("site") for e in cloud.log.read()} == {SITE}
        assert not [e for e in cloud.log.read() if "actor" in e.fields]


async def test_a_site_s_server_lets_no_report_out_for_another_site(ground, tmp_path):
    """Whatever is connected to it: a report of its own shows that the way is open."""
    async with (
        a_cloud(ground, tmp_path) as cloud,
        a_node(ground, "cam-c") as bus,
        connected(ground.site, ground.holds("cloud", "mole", "cloud", "cloud")) as mole,
    ):
        await mole.says("tm.v1.evt.site-2.cam-1.audit", a_report())
        await told(cloud, bus, "cam-c")
        assert {entry.fields.get("site") for entry in cloud.log.read()} == {SITE}


async def test_what_is_no_report_is_one_entry_that_repeats_none_of_it(ground, tmp_path):
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "mole-d") as bus:
        await told(cloud, bus, "mole-d")
        bodies = (b"", b"{", b"secret", b"\xff" * 99, a_report(2).replace(b"trust-", b"policy-"))
        for place, data in enumerate(bodies):
            assert await kept(bus, "mole-d", data, f"d.{place}")
        await eventually(lambda: len(cloud.of("mole-d")) == 1 + len(bodies))
        assert {kind for kind, _ in cloud.of("mole-d")[1:]} == {"report-refused"}
        assert "secret" not in cloud.log.path.read_text()
        assert not cloud.log.verify().fault


async def test_what_is_too_long_is_not_even_kept(ground, tmp_path):
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "mole-e") as bus:
        await told(cloud, bus, "mole-e")
        assert not await kept(bus, "mole-e", b"x" * (MOST.bytes + 1), "e.2")
        assert await kept(bus, "mole-e", b"x" * (MAX_BYTES + 1), "e.3")
        await eventually(lambda: len(cloud.of("mole-e")) == 2)
        assert cloud.log.path.stat().st_size < MAX_BYTES


async def test_a_node_that_floods_is_a_burst_and_its_neighbour_is_heard(ground, tmp_path):
    """It does not wait for replies, as an honest one does; the log is as long as it may be."""
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "cam-f") as bus:
        await told(cloud, bus, "cam-f")
        async with connected(ground.site, ground.holds("agent", "mole-f")) as mole:
            for number in range(1, 3000):
                await mole.client.publish(subject("mole-f"), a_report(number))
            await mole.client.flush()
            assert await kept(bus, "cam-f", a_report(2, what="heard"), "cam-f.2")
            await eventually(lambda: ("trust-refused", "heard") in cloud.of("cam-f"), within_s=20)
        assert len(cloud.of("mole-f")) <= NODE_BURST + 2


async def test_a_full_place_in_the_stream_is_the_flooding_node_s_own(ground, tmp_path):
    """Nobody takes anything: the cloud is away. The hub keeps so much of each node and no more."""
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "mole-g") as mole:
        await told(cloud, mole, "mole-g")
    async with a_node(ground, "mole-g") as mole, a_node(ground, "cam-g") as honest:
        taken = [
            await kept(mole, "mole-g", a_report(n), f"g.{n}") for n in range(2, MOST.messages + 12)
        ]
        whole = taken.count(True)
        assert whole in (MOST.messages - 1, MOST.messages)  # the first may still be in its place
        assert await kept(honest, "cam-g", a_report(), "cam-g.1")
        async with a_cloud(ground, tmp_path) as cloud:
            await eventually(lambda: cloud.of("cam-g"), within_s=20)
            await eventually(lambda: len(cloud.of("mole-g")) == 1 + whole, within_s=20)


async def test_what_was_told_and_taken_is_no_second_entry_after_a_restart(ground, tmp_path):
    """The hub forgets the ids of messages after two minutes: the log itself does not."""
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "cam-h") as bus:
        await told(cloud, bus, "cam-h")
    async with a_cloud(ground, tmp_path) as cloud, a_node(ground, "cam-h") as bus:
        assert await kept(bus, "cam-h", a_report(), "under another id")
        assert await kept(bus, "cam-h", a_report(2, what="next"), "cam-h.2")
        await eventually(lambda: ("trust-refused", "next") in cloud.of("cam-h"), within_s=20)
        assert len(cloud.of("cam-h")) == 2
