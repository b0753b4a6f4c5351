"""A hub and a site, real servers with real identities, for tests that try what is not allowed."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.client import Client

from cloud_core.identity.authority import Authority, Holder
from cloud_core.up import ports, servers
from cloud_core.up.identities import trust_of
from cloud_core.up.servers import Server, Uplink
from edge_agent.identity.credentials import Credentials

SITE = "site-1"
QUIET_S = 0.1
"""Time enough for what is refused to be told, and for what must not arrive not to."""


@dataclass
class Grounds:
    """Where hub and site are, and who may mint."""

    folder: Path
    program: Path
    authority: Authority
    hub: int
    leaf: int
    site: int
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def holds(self, role: str, name: str, site: str = SITE, tier: str = "edge") -> Credentials:
        """Credentials of a role, minted on the first call."""
        parent = "cloud"
        holder = Holder(role, name, site, tier, parent)
        return self.authority.credentials(
            holder, self.path(role, name, site), now=time.time(), lifetime_s=3600
        )

    def path(self, role: str, name: str, site: str = SITE) -> Path:
        return self.folder / "credentials" / f"{role}-{site}-{name}.creds"

    def start(self, name: str) -> None:
        port = self.hub if name == "hub" else self.site
        command = [self.program, "-c", self.folder / f"{name}.conf"]
        self.running[name] = subprocess.Popen([*command, "-l", self.folder / f"{name}.log"])
        while ports.is_free(port):
            assert self.running[name].poll() is None, (self.folder / f"{name}.log").read_text()
            time.sleep(0.01)

    def stop(self, name: str) -> None:
        self.running[name].terminate()
        self.running[name].wait()


@contextmanager
def grounds(folder: Path, program: Path) -> Iterator[Grounds]:
    """Run both servers until the block ends, the site's as the hub's leaf node."""
    authority = Authority.kept(folder / "identity", time.time())
    hub, leaf, site = ports.free(3)
    made = Grounds(folder, program, authority, hub, leaf, site)
    made.holds("leaf", SITE)
    made.holds("resolver-leaf", SITE)
    trust = trust_of(authority)
    at_hub = Server("hub", f"127.0.0.1:{hub}", "hub", str(folder / "hub"), trust)
    at_site = Server(SITE, f"127.0.0.1:{site}", SITE, str(folder / SITE), trust)
    uplink = Uplink(
        f"nats-leaf://127.0.0.1:{leaf}",
        str(made.path("leaf", SITE)),
        str(made.path("resolver-leaf", SITE)),
    )
    (folder / "hub.conf").write_text(servers.hub(at_hub, f"127.0.0.1:{leaf}"))
    (folder / f"{SITE}.conf").write_text(servers.site(at_site, uplink))
    try:
        made.start("hub")
        made.start(SITE)
        yield made
    finally:
        for name in made.running:
            made.stop(name)


@dataclass
class Party:
    """One connection: what the server has refused it, and what has arrived."""

    client: Client
    refused: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def listens(self, subject: str) -> None:
        async def heard(message) -> None:
            self.heard.append(message.subject)

        await self.client.subscribe(subject, cb=heard)
        await self.settled()

    async def says(self, subject: str, data: bytes = b"") -> None:
        await self.client.publish(subject, data)
        await self.settled()

    async def settled(self) -> None:
        await self.client.flush()
        await asyncio.sleep(QUIET_S)


@asynccontextmanager
async def connected(port: int, credentials: Credentials, **options) -> AsyncIterator[Party]:
    """Connect with these credentials, without a second try."""
    party = Party(Client())

    async def failed(error: Exception) -> None:
        party.refused.append(str(error))

    given = {
        "user_jwt_cb": lambda: bytearray(credentials.jwt.encode()),
        "signature_cb": credentials.sign,
        "inbox_prefix": credentials.inbox,
        "error_cb": failed,
        "allow_reconnect": False,
    }
    try:
        await party.client.connect(f"nats://127.0.0.1:{port}", **(given | options))
        yield party
    finally:
        await party.client.close()
        transport = party.client._transport  # noqa: SLF001  # left open by nats-py when refused
        if transport is not None:
            transport.close()


async def is_refused(port: int, credentials: Credentials) -> bool:
    """Whether the server takes no connection with these credentials."""
    try:
        async with connected(port, credentials):
            return False
    except nats.errors.Error as error:
        return "uthorization" in str(error)


async def eventually(condition, within_s: float = 5.0) -> None:
    """Return as soon as `condition` holds; fail when it never does."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s:g} s"
        await asyncio.sleep(0.01)
