"""Mirrors that send too much, too little, too slowly or something else; over real NATS too."""

import asyncio
import os
import threading
from hashlib import sha256

import pytest

from edge_agent.bundles.depot import Depot
from edge_agent.bundles.disk import Disk
from edge_agent.bundles.fetch import Limits, fetch, metadata
from edge_agent.bundles.sources import MeshSource, Piece, located
from edge_agent.bus.nats import connecting
from edge_agent.clock import ManualClock
from middle_tier.blobs import Mirror
from protocol.blobs import Part, Read
from protocol.bundles import digest_key
from protocol.codec import Frame
from protocol.errors import (
    BadNameError,
    DeadlineError,
    TooLargeError,
    UnreachableError,
    UntrustedError,
)
from protocol.subjects import BlobSubject
from tests.attacks.bundles.forging import refusals
from tests.signed import EPOCH

DATA = os.urandom(100_000)
DIGEST = digest_key(sha256(DATA).hexdigest())
LIMITS = Limits(part_bytes=10_000, ahead=2, min_bytes_per_s=1_000, window_s=10, deadline_s=60)


class Gives:
    """A source of DATA that can be told to misbehave, and counts what it was asked for."""

    def __init__(self, clock=None, *, data=DATA, each_s=0.0, total=None, more=0, fails_at=None):
        self.clock = clock or ManualClock(epoch=EPOCH)
        self.asked = []
        self.data, self.each_s, self.more, self.fails_at = data, each_s, more, fails_at
        self.total = len(data) if total is None else total

    async def read(self, _name, offset, length):
        self.asked.append(offset)
        self.clock._now += self.each_s  # noqa: SLF001  # time passes while it is sent
        if self.fails_at is not None and offset >= self.fails_at:
            raise UnreachableError("cut")
        return Piece(self.total, offset, self.data[offset : offset + length + self.more])


async def fetched(depot, source, size=100_000, digest=DIGEST, limits=LIMITS):
    await fetch(source, depot, source.clock, digest=digest, size_bytes=size, limits=limits)


@pytest.fixture
def depot(tmp_path):
    return Depot(tmp_path, Disk())


def arriving(depot):
    """Names of what is half here."""
    folder = depot.path("arriving")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_what_is_whole_gets_its_name(depot):
    await fetched(depot, Gives())
    assert depot.read(DIGEST) == DATA
    assert not arriving(depot)


async def test_what_broke_off_is_gone_on_with(depot):
    with pytest.raises(UnreachableError):
        await fetched(depot, Gives(fails_at=60_000))
    assert not depot.has(DIGEST)
    again = Gives()
    await fetched(depot, again)
    assert min(again.asked) >= 40_000
    assert depot.read(DIGEST) == DATA


class Held(Disk):
    """Appends nothing until it is let."""

    def __init__(self):
        super().__init__()
        self.began, self.let = threading.Event(), threading.Event()

    def append(self, path, data):
        self.began.set()
        self.let.wait(20)
        super().append(path, data)


async def test_what_broke_off_is_not_written_to_any_more_when_it_is_gone_on_with(tmp_path):
    disk = Held()
    broken = asyncio.create_task(fetched(Depot(tmp_path, disk), Gives(fails_at=20_000)))
    await asyncio.to_thread(disk.began.wait, 20)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not broken.done()
    disk.let.set()
    with pytest.raises(UnreachableError):
        await broken


async def test_other_bytes_get_no_name_and_are_not_kept(depot):
    with pytest.raises(UntrustedError, match="something else"):
        await fetched(depot, Gives(data=DATA[:-1] + b"\0"))
    assert not depot.has(DIGEST)
    assert not arriving(depot)


async def test_a_spoiled_beginning_does_not_spoil_what_comes_after(depot):
    with pytest.raises(UnreachableError):
        await fetched(depot, Gives(data=bytes(100_000), fails_at=60_000))
    await fetched(depot, Gives())
    assert depot.read(DIGEST) == DATA


async def test_more_than_was_signed_for_is_refused_before_it_is_taken(depot):
    endless = Gives(total=2**60)
    with pytest.raises(UntrustedError, match="100000 signed for"):
        await fetched(depot, endless)
    assert len(endless.asked) <= LIMITS.ahead
    assert not depot.has(DIGEST)


@pytest.mark.parametrize("more", [1, -1])
async def test_a_part_of_another_length_is_refused(depot, more):
    with pytest.raises(UntrustedError, match="were asked for"):
        await fetched(depot, Gives(more=more))


async def test_a_file_larger_than_anything_may_be_is_not_begun(depot):
    source = Gives()
    with pytest.raises(TooLargeError):
        await fetched(depot, source, size=2**40)
    assert source.asked == []


async def test_a_slow_drip_is_given_up(depot):
    """Each part comes, and none is late by itself."""
    drip = Gives(each_s=9.0)
    with pytest.raises(DeadlineError, match="slower than 1000 bytes a second"):
        await fetched(depot, drip, limits=Limits(part_bytes=100, ahead=1, min_bytes_per_s=1_000,
                                                 window_s=10, deadline_s=1e9))  # fmt: skip
    assert drip.clock.now() <= 30
    assert not depot.has(DIGEST)


async def test_what_takes_too_long_in_all_is_given_up_and_kept_for_next_time(depot):
    slow = Gives(each_s=8.0)
    with pytest.raises(DeadlineError, match="within 60 s"):
        await fetched(depot, slow)
    assert arriving(depot) == [DIGEST]
    await fetched(depot, Gives())
    assert depot.read(DIGEST) == DATA


async def test_endless_metadata_is_refused_by_its_length():
    source = Gives(total=2**60)
    with pytest.raises(TooLargeError, match="at most 5000"):
        await metadata(source, "timestamp.json", source.clock, at_most=5_000, limits=LIMITS)
    assert len(source.asked) == 1


async def test_dripping_metadata_is_given_up():
    drip = Gives(each_s=11.0, data=bytes(90_000))
    slow = Limits(part_bytes=100, min_bytes_per_s=1_000, window_s=10)
    with pytest.raises(DeadlineError):
        await metadata(drip, "timestamp.json", drip.clock, at_most=90_000, limits=slow)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "sha256-xyz", "a/b.json", "x.JSON", "", "a\0.json"]
)
def test_no_name_leads_out_of_a_repository(tmp_path, name):
    with pytest.raises(BadNameError):
        located(tmp_path, name)


@pytest.mark.nats
async def test_a_malicious_mirror_on_a_real_server_gets_nothing_installed(scene, nats_url):
    """It answers every read of a blob with other bytes of the right length, and hides one part."""
    (target,) = scene.repository.targets()
    async with connecting(nats_url, name="evil") as evil, connecting(nats_url, name="node") as bus:

        def answer(delivery):
            read = delivery.frame.message
            assert isinstance(read, Read)
            if read.name.startswith("sha256-"):
                total = {target.digest: target.size_bytes}.get(read.name, 10)
                size = min(read.length, total - read.offset)
                part = Part(total_bytes=total, offset=read.offset, size_bytes=size)
                evil.publish(delivery.reply, Frame(part, (bytes(size),)))
                return
            data = located(scene.repository.store.folder, read.name)
            found = data.read_bytes() if data.exists() else None
            part = Part() if found is None else Part(total_bytes=len(found), size_bytes=len(found))
            evil.publish(delivery.reply, Frame(part, (found or b"",)))

        async with evil.subscribe(str(BlobSubject("evil")), answer):
            node = scene.node(sources=(MeshSource(bus, "evil"),))
            assert not (await node.update()).changed
            assert "is something else" in refusals(node)
            assert not node.store().held
            honest = scene.node(sources=(MeshSource(bus, "evil"), scene.mirror))
            assert (await honest.update()).changed


@pytest.mark.nats
async def test_a_mirror_hands_on_what_it_has_verified(scene, nats_url):
    upstream = scene.node("site")
    await upstream.update()
    async with (
        connecting(nats_url, name="site") as site,
        connecting(nats_url, name="node") as bus,
        Mirror(site, upstream).serving("honest"),
    ):
        node = scene.node(sources=(MeshSource(bus, "honest"),))
        assert (await node.update()).changed
        assert set(node.store().held) == {"mlp-table"}
