"""No module grows past what one reads at once."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "edge_agent", "middle_tier", "cloud_core")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

MODULE = 300
PROTOCOL = 1775
"""In all: the wire should still be read in one sitting."""


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short(path):
    assert lines(path) <= MODULE


def test_the_protocol_is_short_in_all():
    assert sum(lines(path) for path in (ROOT / "protocol").glob("*.py")) <= PROTOCOL


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_says_nothing(path):
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_manager"}
    assert path.stem not in vague
