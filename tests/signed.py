"""Makers for signed bundles: a publisher with real keys, and bundles whose golden answers hold."""

import json
from collections.abc import Callable
from pathlib import Path

from cloud_core.registry.keys import Keyring
from cloud_core.registry.repository import Repository
from cloud_core.registry.store import RegistryStore
from edge_agent.audit import Remembered
from edge_agent.bundles.believed import Rights
from edge_agent.bundles.sources import FolderSource
from edge_agent.bundles.updater import Setting, Updater
from edge_agent.clock import ManualClock
from protocol.bundles import MANIFEST, Manifest
from protocol.codec import Frame, encode
from protocol.messages import Asks, Replies
from tests.build import a_profile, a_task, a_variant, an_answer, an_ask

EPOCH = 1_800_000_000.0
DAY = 86_400.0


def table(padding: int = 0) -> bytes:
    """The bytes of a replayed variant that answers zeros: as many as wanted."""
    runs = {"runs": {"1": [1, 1, 1, 1, 1]}, "outputs": {"scores": [10]}}
    return json.dumps(runs).encode() + b" " * padding


def a_folder(
    folder: Path, *names: str, bundle: str = "digits", version: int = 1,
    data: Callable[[str], bytes] = lambda name: table(sum(name.encode())),
    task: str = "digits", **changes: object,
) -> Path:  # fmt: skip
    """A built bundle's folder, unsigned."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or ("mlp-table",)
    fields = {"profile": a_profile(measured=True), **changes}
    variants = tuple(a_variant(name, data(name), **fields) for name in names)
    for variant in variants:
        (folder / variant.file).write_bytes(data(variant.id))
    asks = Asks(items=(an_ask(variant=names[0]),))
    replies = Replies(items=tuple(an_answer(variant=name) for name in names))
    (folder / "golden.frame").write_bytes(encode(Frame(asks, (bytes(256),))))
    (folder / "golden-outputs.frame").write_bytes(
        encode(Frame(replies, tuple(bytes(40) for _ in names)))
    )
    manifest = Manifest(
        bundle=bundle, version=version, task=a_task(task), variants=variants,
        golden="golden.frame", golden_outputs="golden-outputs.frame",
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


class Time:
    """The publisher's clock: as it is told."""

    def __init__(self, now: float = EPOCH) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def a_repository(
    folder: Path, now: Callable[[], float] | None = None, *, publisher: str = "acme",
    rights: Rights | None = None, **making: object,
) -> Repository:  # fmt: skip
    """A repository with one publisher, who may publish anything but code."""
    made = Repository(
        RegistryStore(folder / "repository"), Keyring(folder / "keys", passphrase=b"open"),
        now or Time(), audit=Remembered(),
    )  # fmt: skip
    made.create(**making)
    made.add_publisher(publisher, rights or Rights())
    return made


def an_updater(folder: Path, repository: Repository, **changes: object) -> Updater:
    """A node's updater, from the repository's own folder unless another source is given."""
    fields = {
        "folder": folder,
        "root": repository.store.first_root(),
        "sources": (FolderSource(repository.store.folder),),
        "clock": ManualClock(epoch=EPOCH),
        "wants": lambda _: True,
        "audit": Remembered(),
    }
    return Updater(Setting(**{**fields, **changes}))
