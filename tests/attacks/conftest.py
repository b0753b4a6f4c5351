"""Real servers with real identities."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.machines import Machines, two_machines
from tests.grounds import Grounds, grounds


@pytest.fixture(scope="module")
def ground(nats_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """A hub and a site, for all tests of a module: use names of your own."""
    with grounds(tmp_path_factory.mktemp("grounds"), nats_program) as made:
        yield made


@pytest.fixture(scope="session")
def machines(nats_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """What `tiermesh init` writes, running."""
    with two_machines(tmp_path_factory.mktemp("init"), nats_program) as made:
        yield made
