"""What an audit is to whoever has something to record. The log itself is `cloud_core.audit`.

Record operator actions, enrolments, revocations, publications and every refusal of trust. Never a
payload, a token or a key: name things, by id or digest.
"""

import logging
from typing import Protocol

_log = logging.getLogger("tiermesh.audit")

Plain = str | int | float | bool | None
"""What a field of an entry may be."""


class Audit(Protocol):
    """Somewhere that keeps what happened."""

    def record(self, kind: str, /, **fields: Plain) -> None:
        """Keep one entry; on return it is kept. `kind` is `[a-z0-9-]{1,63}`, as `bundle-publish`.

        `actor` is the field for who did it, by convention: a tenant, a node or a publisher.
        """
        ...


class Logged:
    """Says it in the process's own log: where there is no audit log at hand, as on a device."""

    def record(self, kind: str, /, **fields: Plain) -> None:
        said = " ".join(f"{name}={value!s:.200}" for name, value in fields.items())
        _log.warning("%s %s", kind, said)


class Remembered:
    """Keeps entries in memory: for tests, and for a look back within one process."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Plain]]] = []

    def record(self, kind: str, /, **fields: Plain) -> None:
        self.entries.append((kind, fields))
