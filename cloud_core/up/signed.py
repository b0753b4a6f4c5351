"""The bundles of `up`, signed with keys of this machine that are made on its first run."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from cloud_core.audit.log import AuditLog
from cloud_core.issuer import write_secret
from cloud_core.registry.keys import Keyring
from cloud_core.registry.repository import Repository
from cloud_core.registry.store import RegistryStore
from cloud_core.up.layout import Layout
from edge_agent.audit import Audit
from edge_agent.bundles.believed import Rights
from edge_agent.clock import SystemClock
from protocol.bundles import MANIFEST
from protocol.errors import UnknownError

log = logging.getLogger(__name__)

DEMO, LOCAL = "demo", "local"
"""Publishers: of what comes with Tiermesh, and of what this machine's operator adds."""


def repository(
    layout: Layout, now: Callable[[], float], *, keys: Keyring | None = None,
    audit: Audit | None = None,
) -> Repository:  # fmt: skip
    """Return the repository of the mesh in a folder, made or not."""
    ring = keys or Keyring(layout.bundle_keys)
    return Repository(RegistryStore(layout.repository), ring, now, audit=audit)


def founded(layout: Layout, now: Callable[[], float], *, audit: Audit | None = None) -> Repository:
    """Return the repository, made when there is none: who may publish changes only then."""
    made = repository(layout, now, audit=audit)
    if not made.store.exists:
        made.create()
        made.add_publisher(LOCAL, Rights(code=True))
    if not layout.bundle_root.exists():
        write_secret(layout.bundle_root, made.store.first_root().decode())
    return made


def sign(layout: Layout, demo: Path, others: Iterable[Path], now: Callable[[], float]) -> None:
    """Publish what is in these folders, as far as it is new; renew what expires before long."""
    made = founded(layout, now, audit=AuditLog(layout.audit, SystemClock()))
    if made.revoked(DEMO):
        log.warning("the publisher %s was revoked: the demo's bundles are left out", DEMO)
    else:
        if DEMO not in made.believed().publishers:
            made.add_publisher(DEMO, Rights(code=True))
        _publish(made, DEMO, (demo,))
    _publish(made, LOCAL, others)
    made.renew()


def _publish(made: Repository, publisher: str, folders: Iterable[Path]) -> None:
    for folder in folders:
        for bundle in found(folder):
            made.publish(bundle, publisher=publisher, promote=True)


def found(folder: Path) -> list[Path]:
    """The bundles below a folder, or in it."""
    if not folder.is_dir():
        raise UnknownError(f"no folder {folder}", "give folders that hold bundles")
    return sorted(path.parent for path in folder.rglob(MANIFEST))
