"""The bundles of `up`, signed with keys of this machine that are made on its first run."""

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
    """Return the repository, made with both publishers when there is none."""
    made = repository(layout, now, audit=audit)
    if not made.store.exists:
        made.create()
    if not layout.bundle_root.exists():
        write_secret(layout.bundle_root, made.store.first_root().decode())
    for name in (DEMO, LOCAL):
        if name not in made.believed().publishers:
            made.add_publisher(name, Rights(code=True))
    return made


def sign(layout: Layout, demo: Path, others: Iterable[Path], now: Callable[[], float]) -> None:
    """Publish what is in these folders, as far as it is new; renew what expires before long."""
    made = founded(layout, now, audit=AuditLog(layout.audit, SystemClock()))
    for publisher, folders in ((DEMO, (demo,)), (LOCAL, tuple(others))):
        for folder in folders:
            for bundle in found(folder):
                made.publish(bundle, publisher=publisher, promote=True)
    made.renew()


def found(folder: Path) -> list[Path]:
    """The bundles below a folder, or in it."""
    if not folder.is_dir():
        raise UnknownError(f"no folder {folder}", "give folders that hold bundles")
    return sorted(path.parent for path in folder.rglob(MANIFEST))
