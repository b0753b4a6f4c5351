"""What trust costs: verifying a thousand signed bundles cold, and installing one of 100 MB.

``python tests/benchmark/trust.py``. The bundle comes over a real nats-server on loopback from a
mirror in a process of its own, into an agent's updater in another, whose memory is watched.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from cloud_core.registry.draft import Draft, Lifetimes
from cloud_core.registry.repository import Repository
from cloud_core.up import ports, servers
from edge_agent.bundles.believed import TargetPath
from edge_agent.bundles.sources import FolderSource, MeshSource
from edge_agent.bundles.trial import able, trying
from edge_agent.bundles.trust import TrustedSet
from edge_agent.bus.nats import connecting
from edge_agent.clock import SystemClock
from edge_agent.runtimes import registry
from middle_tier.blobs import Mirror
from tests.signed import a_folder, a_repository, an_updater, table

TARGETS, VARIANTS, VARIANT_BYTES = 1000, 20, 5_000_000
VERIFY_MS, INSTALL_MB_S, GROWTH_MB = 40.0, 50.0, 40.0
"""What is asked of it."""


def verified_ms(folder: Path) -> list[float]:
    """Milliseconds for everything from the root to a catalogue of 1,000 targets, each time anew."""
    repository = a_repository(folder, time.time)
    draft = Draft.of(repository.believed())
    for number in range(TARGETS):
        path = TargetPath(publisher="acme", bundle=f"bundle-{number}", version=1)
        digest = f"sha256-{number:064x}"
        draft.publish(path, digest=digest, size_bytes=1000 + number, channel="current")
    keys = repository._keys  # noqa: SLF001  # its own
    files = draft.sealed(keys, time.time(), Lifetimes())
    roles = {name.split(".")[-2]: data for name, data in files.items()}
    roles |= {
        "root": repository.store.first_root(),
        "targets": repository.believed().raw["targets"],
    }
    return [_verified(roles, time.time()) for _ in range(20)]


def _verified(roles: dict[str, bytes], now: float) -> float:
    started = time.perf_counter()
    trusted = TrustedSet(roles["root"])
    trusted.last_root(now)
    trusted.load_timestamp(roles["timestamp"], now)
    trusted.load_snapshot(roles["snapshot"], now)
    trusted.load_targets(roles["targets"], now)
    trusted.load_publisher("acme", roles["acme"], now)
    assert len(trusted.catalog()) == TARGETS
    return (time.perf_counter() - started) * 1e3


def a_large_bundle(folder: Path) -> Repository:
    repository = a_repository(folder, time.time)
    padding = VARIANT_BYTES - len(table())
    names = [f"variant-{number}" for number in range(VARIANTS)]
    built = a_folder(
        folder / "built", *names, data=lambda name: table(padding - int(name.split("-")[1]))
    )
    repository.publish(built, publisher="acme")
    return repository


async def mirror(url: str, folder: Path) -> None:
    """Mirror the repository, and serve it until standard input ends."""
    repository = Published(folder)
    updater = an_updater(
        folder / "mirror", repository, clock=SystemClock(),
        sources=(FolderSource(folder / "repository"),),
    )  # fmt: skip
    await updater.update()
    async with connecting(url, name="mirror") as bus, Mirror(bus, updater).serving("site"):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


async def install(url: str, folder: Path) -> None:
    """Install as an agent does, and say how long it took and by how much its memory grew."""
    can = able(registry.available(), "box")
    async with connecting(url, name="agent") as bus:
        updater = an_updater(
            folder / "agent", Published(folder), clock=SystemClock(), wants=can,
            sources=(MeshSource(bus, "site"),), trial=trying(can, 1),
        )  # fmt: skip
        await bus.rtt_s()
        before, started = _peak_mb(), time.perf_counter()
        outcome = await updater.update()
        seconds = time.perf_counter() - started
    assert outcome.changed
    assert len(updater.store().held) == VARIANTS
    sys.stdout.write(json.dumps({"seconds": seconds, "growth_mb": _peak_mb() - before}) + "\n")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


class Published:
    """Only what an updater asks of a repository."""

    def __init__(self, folder: Path) -> None:
        self.store = self
        self.folder = folder / "repository"

    def first_root(self) -> bytes:
        return (self.folder / "metadata" / "1.root.json").read_bytes()


@contextmanager
def a_server(folder: Path):
    port = ports.free(1)[0]
    (folder / "nats.conf").write_text(f"listen: 127.0.0.1:{port}\nmax_payload: 8MB\n")
    command = [servers.program(), "-c", folder / "nats.conf", "-l", folder / "nats.log"]
    process = subprocess.Popen(command)
    try:
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def installed(folder: Path) -> dict[str, float]:
    a_large_bundle(folder)
    with a_server(folder) as url:
        command = [sys.executable, __file__]
        serving = subprocess.Popen(
            [*command, "mirror", url, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert serving.stdout is not None
            serving.stdout.readline()
            run = subprocess.run(
                [*command, "install", url, folder], capture_output=True, check=True
            )
        finally:
            serving.kill()
            serving.wait()
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        times = verified_ms(Path(folder))
    _say(f"verifying {TARGETS} targets, first time", times[0], "ms", times[0] <= VERIFY_MS)
    _say(f"verifying {TARGETS} targets, median", median(times), "ms", median(times) <= VERIFY_MS)
    with tempfile.TemporaryDirectory() as folder:
        found = installed(Path(folder))
    speed = VARIANTS * VARIANT_BYTES / 1e6 / found["seconds"]
    _say("installing 100 MB over NATS", speed, "MB/s", speed >= INSTALL_MB_S)
    grown = found["growth_mb"]
    _say("peak memory growth of the agent", grown, "MB", grown < GROWTH_MB)


def _say(what: str, value: float, unit: str, met: bool) -> None:  # noqa: FBT001  # prints it
    sys.stdout.write(f"{what:42} {value:8.1f} {unit:5} {'met' if met else 'NOT MET'}\n")


if __name__ == "__main__":
    if sys.argv[1:2] in (["mirror"], ["install"]):
        asyncio.run(
            {"mirror": mirror, "install": install}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
        )
    else:
        main()
