"""What `tiermesh init` writes, run as it would be on two machines: TLS everywhere, and pinned."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloud_core.identity import ca
from cloud_core.identity.founding import Plan, founded
from cloud_core.up import ports
from edge_agent.bus.nats import connecting
from edge_agent.bus.persistent import signed_in
from edge_agent.identity.credentials import Credentials
from edge_agent.identity.passport import Passport
from protocol.errors import BadRequestError, ConflictError
from tests.attacks.machines import SITE, Machines, sites, until

pytestmark = pytest.mark.nats


def test_the_site_reaches_the_cloud_over_tls_and_a_device_joins(machines, tmp_path):
    until(lambda: SITE in sites(machines), "the cloud has heard of the site")
    token = machines.token
    tiermesh = Path(sys.executable).with_name("tiermesh")
    where = ["--url", machines.url, "--ca", machines.ca, "--gate-token", token, "--json"]
    wanted = [tiermesh, "enrol", "token", "--site", SITE, "--approved", *where]
    made = subprocess.run(wanted, check=True, capture_output=True, text=True)
    command = [sys.executable, "-m", "edge_agent", "enrol", "--token", "-", "--node", "cam-1"]
    command += [
        "--url",
        f"tls://127.0.0.1:{machines.site}",
        "--credentials",
        tmp_path / "cam.creds",
    ]
    command += ["--ca", machines.folder / "device" / "ca.crt"]
    run = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60,
        input=json.loads(made.stdout)["token"] + "\n",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert Credentials.parse((tmp_path / "cam.creds").read_text()).site == SITE


@pytest.mark.parametrize("where", ["hub", "site", "leaf"])
def test_a_server_says_nothing_in_the_clear(machines, where):
    port = getattr(machines, where)
    until(lambda: not ports.is_free(port), "it listens")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
        stranger.sendall(b"CONNECT {}\r\nPING\r\n")
        assert b"INFO" not in stranger.recv(4096)


@pytest.mark.parametrize("where", ["hub", "site", "leaf"])
def test_tls_is_no_name(machines, where):
    context = ssl.create_default_context(cafile=machines.folder / "ca" / "ca.crt")
    port = getattr(machines, where)
    until(lambda: not ports.is_free(port), "it listens")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as link,
        context.wrap_socket(link, server_hostname="127.0.0.1") as stranger,
    ):
        stranger.sendall(b"CONNECT {}\r\nPING\r\n")
        said = b""
        while data := stranger.recv(4096):
            said += data
    assert b"PONG" not in said
    assert b"Authorization Violation" in said


async def comes_in(machines: Machines, authority: Path) -> bool:
    passport = Passport.read(machines.etc(SITE) / "credentials" / "site.creds")
    url = f"tls://127.0.0.1:{machines.site}"
    try:
        async with asyncio.timeout(3), connecting(url, name="x", passport=passport, ca=authority):
            return True
    except TimeoutError:
        return False


async def test_a_client_speaks_to_no_server_but_its_own_authority_s(machines, tmp_path):
    assert await comes_in(machines, machines.etc(SITE) / "ca.crt")
    other = ca.Authority.kept(tmp_path / "ca.crt", tmp_path / "ca.key", time.time())
    assert other.pem() != (machines.etc(SITE) / "ca.crt").read_text()
    assert not await comes_in(machines, tmp_path / "ca.crt")


async def test_a_client_that_pins_says_nothing_to_a_server_without_tls(machines):
    """Somebody on the way who answers in the clear gets no JWT and no signature."""
    heard = []

    async def overhears(reader, writer):
        writer.write(b'INFO {"server_id": "N", "nonce": "abc", "max_payload": 1048576}\r\n')
        heard.append(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(overhears, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    passport = Passport.read(machines.etc(SITE) / "credentials" / "site.creds")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), connecting(
            f"tls://127.0.0.1:{port}", name="x", passport=passport,
            ca=machines.etc(SITE) / "ca.crt",
        ):  # fmt: skip
            pass
    server.close()
    assert heard
    assert not [words for words in heard if b"CONNECT" in words or passport.jwt.encode() in words]


def test_init_again_keeps_keys_and_adds_a_site(tmp_path):
    now = time.time()
    founded(Plan(tmp_path, "hub.example.org", {"a": "a.example.org"}), now)
    kept = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".conf"}
    founded(Plan(tmp_path, "hub.example.org", {"a": "a.example.org", "b": "10.0.0.2"}), now + 60)
    assert {path: path.read_bytes() for path in kept} == kept
    assert (tmp_path / "b" / "nats.conf").exists()


def test_nothing_that_leaves_for_a_machine_holds_the_operator_s_keys(tmp_path):
    founded(Plan(tmp_path, "hub.example.org", {"a": "a.example.org"}), time.time())
    secrets = [
        (tmp_path / name).read_text().strip()
        for name in ("identity/operator.nk", "ca/ca.key", "identity/roles/leaf.nk")
    ]
    for machine in ("hub", "a", "device"):
        for path in (tmp_path / machine).rglob("*"):
            if path.is_file():
                public = "repository" in path.parts  # signed, for whoever asks
                assert public or path.stat().st_mode & 0o77 == 0
                assert not path.name.startswith("root-")
                assert not [secret for secret in secrets if secret in path.read_text()]
    assert not list((tmp_path / "a").rglob("*.nk"))


def test_one_s_own_authority_signs_the_servers(tmp_path):
    mine = tmp_path / "mine.crt", tmp_path / "mine.key"
    own = ca.Authority.kept(*mine, time.time())
    plan = Plan(tmp_path / "mesh", "hub.example.org", {}, ca_certificate=mine[0], ca_key=mine[1])
    founded(plan, time.time())
    assert (tmp_path / "mesh" / "hub" / "ca.crt").read_text() == own.pem()
    assert not (tmp_path / "mesh" / "ca").exists()
    mine[1].write_text("not a key")
    with pytest.raises(ConflictError, match="are not a certificate and its key"):
        founded(plan, time.time())


def test_a_site_is_not_called_like_another_folder(tmp_path):
    with pytest.raises(ConflictError, match="cannot be called hub"):
        founded(Plan(tmp_path, "h", {"hub": "h"}), time.time())


def test_a_pinned_authority_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BadRequestError, match="not a certificate authority"):
        signed_in(None, tmp_path / "none.crt")
