"""What trust adds to an agent: little on the disk, and nothing heavy in memory."""

import subprocess
import sys
from importlib.metadata import distribution

ADDED = ("tuf", "securesystemslib", "urllib3")
MOST_BYTES = 10_000_000


def size_bytes(name: str) -> int:
    files = distribution(name).files or ()
    return sum(path.stat().st_size for file in files if (path := file.locate()).is_file())


def test_trust_adds_less_than_ten_megabytes_beyond_cryptography():
    assert 0 < sum(size_bytes(name) for name in ADDED) < MOST_BYTES


def test_an_agents_trust_imports_no_way_to_the_web():
    code = "import sys, edge_agent.stocked; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in run.stdout.split()}
    assert "tuf" in names
    assert not names & {"requests", "urllib3", "aiohttp", "torch"}
