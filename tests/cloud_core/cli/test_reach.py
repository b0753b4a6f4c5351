"""Which gate a command speaks to: what is not surely one is told nothing, least of all a token."""

import socket
from contextlib import suppress

import pytest

from cloud_core.cli.main import run
from cloud_core.cli.reach import Where
from cloud_core.cli.sending import sent
from protocol.errors import BadRequestError

COMMANDS = (["nodes", "list"], ["tenants", "list"])


@pytest.fixture
def heard():
    """A port, and what anybody said to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def connections(listener):
    with suppress(BlockingIOError):
        listener.accept()[0].close()
        return 1
    return 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("scheme", ["htps://", "HTTP+TLS://", "", "//", "http:"])
def test_a_url_that_is_no_gate_s_is_misuse_and_told_nothing(command, scheme, heard, capsys):
    url = f"{scheme}127.0.0.1:{heard.getsockname()[1]}"
    assert run([*command, "--url", url, "--token", "secret"], {}) == 2
    said = capsys.readouterr().err
    assert "hint: give a gate's URL whole" in said
    assert "secret" not in said
    assert not connections(heard)


@pytest.mark.parametrize("url", ["hub.example.org:8080", "http://", "http://h:99999", "http://[x"])
def test_a_url_without_a_host_or_with_a_bad_port_is_misuse(url, capsys):
    assert run(["tenants", "list"], {"TIERMESH_URL": url, "TIERMESH_TOKEN": "t"}) == 2
    assert "hint: give a gate's URL whole" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_an_authority_that_was_given_is_not_passed_over_for_plain_http(command, heard, capsys):
    url = f"http://127.0.0.1:{heard.getsockname()[1]}"
    assert run([*command, "--url", url, "--token", "t", "--ca", "ca.crt"], {}) == 2
    assert run([*command, "--url", url, "--token", "t"], {"TIERMESH_CA": "ca.crt"}) == 2
    assert "hint: give the URL with https://" in capsys.readouterr().err
    assert not connections(heard)


def test_the_authority_in_the_folder_is_for_https_only(tmp_path, free_port, capsys):
    (tmp_path / "ca.crt").write_text("of another mesh")
    url = f"http://127.0.0.1:{free_port}"
    assert run(["nodes", "list", "--dir", str(tmp_path), "--url", url, "--token", "t"], {}) == 1
    assert "does not answer" in capsys.readouterr().err


def test_whatever_sends_an_order_looks_at_the_url_itself():
    with pytest.raises(BadRequestError):
        sent(Where("htps://127.0.0.1", "t"), "GET", "/v1/tenants")
