"""What `init` refuses before it writes anything; what it writes is run in `tests/attacks`."""

import json
from urllib.parse import urlsplit

import pytest

from cloud_core.cli.main import run

NO_HOSTS = [
    "a b", "h:8443", "https://h", "h/x", "", "-h", "h-", "h..x", ".h", "a_b", "1.2.3", "999.1.1.1",
    "x" * 64, "h\n", "ü.example", "[::1]", "fe80::x", "fe80::1%eth0",
    'h"', ".".join(["x" * 60] * 5),
]  # fmt: skip


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_misuse_and_nothing_is_written(host, tmp_path, capsys):
    folder = tmp_path / "mesh"
    assert run(["init", str(folder), f"--hub={host}"], {}) == 2
    assert "hint: give it without scheme" in capsys.readouterr().err
    if host:
        assert run(["init", str(folder), "--site", f"north={host}"], {}) == 2
        assert "--site north" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize("host", ["hub", "hub-1.example.org", "192.0.2.7", "2001:db8::7", "4u.de"])
def test_a_name_or_an_address_is_taken(host, tmp_path):
    assert run(["init", str(tmp_path), "--hub", host, "--site", f"north={host}"], {}) == 0
    for process in ("hub/cloud.json", "north/site.json"):
        url = urlsplit(json.loads((tmp_path / process).read_text())["nats_url"])
        assert (url.hostname, url.port) == (host, 4222)
