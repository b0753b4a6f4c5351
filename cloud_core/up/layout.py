"""Where everything lies under ``--dir``. Paths only: nothing is read or written here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one mesh."""

    root: Path

    @property
    def founded(self) -> bool:
        """Whether `tiermesh init` has made it, or a machine's part of it; else it is `up`'s."""
        return any((self.root / path).exists() for path in ("ca.crt", "ca/ca.crt"))

    @property
    def state(self) -> Path:
        """What runs now, as `tiermesh down`, `ask` and the second `up` read it."""
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.root / "lock"

    @property
    def signing_key(self) -> Path:
        return self.root / "keys" / "signing.pem"

    @property
    def gate_keys(self) -> Path:
        """The public half: what gates check tokens with."""
        return self.root / "keys" / "gate.json"

    @property
    def repository(self) -> Path:
        """The mesh's bundles, signed: metadata and digest-named files."""
        return self.root / "repository"

    @property
    def bundle_keys(self) -> Path:
        """What signs them."""
        return self.root / "keys" / "bundles"

    @property
    def bundle_root(self) -> Path:
        """Whose signatures count: what every node is given.

        Apart from the repository: what is believed must not come along with what is served.
        """
        return self.root / "trust" / "1.root.json"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.root / "audit" / "log.jsonl"

    @property
    def identity(self) -> Path:
        """The operator's keys and every role's signing key."""
        return self.root / "identity"

    @property
    def provisioned(self) -> Path:
        """The nodes that were given their credentials by `up`."""
        return self.root / "identity" / "provisioned.json"

    def credentials(self, holder: str) -> Path:
        return self.root / "credentials" / f"{holder}.creds"

    def token(self, tenant: str) -> Path:
        return self.root / "tokens" / tenant

    def config(self, process: str) -> Path:
        return self.root / "config" / f"{process}.json"

    def nats(self, server: str) -> Path:
        return self.root / "config" / f"{server}.conf"

    def streams(self, server: str) -> Path:
        """Where a server keeps its streams (JetStream)."""
        return self.root / "streams" / server

    def log(self, process: str) -> Path:
        return self.root / "logs" / f"{process}.log"

    def node(self, node: str) -> Path:
        """What a node keeps: its measured profiles."""
        return self.root / "nodes" / node

    @property
    def first_query(self) -> Path:
        """The body of the query that `up` ends with, for the `curl` line."""
        return self.root / "first-query.json"
