"""Real servers with real identities."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grounds import Grounds, grounds


@pytest.fixture(scope="module")
def ground(nats_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """A hub and a site, for all tests of a module: use names of your own."""
    with grounds(tmp_path_factory.mktemp("grounds"), nats_program) as made:
        yield made
