"""A mesh's repository with one bundle, a hostile mirror of it, and a node that asks that mirror."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud_core.registry.repository import Repository
from edge_agent.bundles.updater import Updater
from edge_agent.clock import ManualClock
from tests.attacks.bundles.forging import Hostile
from tests.signed import EPOCH, Time, a_folder, a_repository, an_updater, table


@dataclass
class Scene:
    """Everybody involved."""

    folder: Path
    time: Time
    repository: Repository
    mirror: Hostile

    def publish(self, version: int = 1, bundle: str = "digits", names=(), **changes):
        folder = self.folder / "built" / f"{bundle}-{version}"

        def data(name: str) -> bytes:
            return table(100 * version + len(name))

        return self.repository.publish(
            a_folder(folder, *names, bundle=bundle, version=version, **{"data": data, **changes}),
            publisher="acme", promote=True,
        )  # fmt: skip

    def node(self, name: str = "node", *, wall: float = EPOCH, **changes) -> Updater:
        fields = {"sources": (self.mirror,), "clock": ManualClock(epoch=wall), **changes}
        return an_updater(self.folder / name, self.repository, **fields)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    time = Time()
    repository = a_repository(tmp_path, time)
    made = Scene(tmp_path, time, repository, Hostile(repository.store.folder))
    made.publish()
    return made
