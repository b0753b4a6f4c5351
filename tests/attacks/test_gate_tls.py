"""The gates of a mesh that `tiermesh init` wrote: HTTPS alone, and believed by their authority."""

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import suppress

import aiohttp
import numpy as np
import pytest

from cloud_core.cli import main
from cloud_core.identity import ca
from cloud_core.up import ports
from middle_tier.client import AsyncMesh, Mesh
from protocol.errors import BadRequestError, MeshError, UnauthenticatedError, UnreachableError
from tests.attacks.machines import until
from tests.gateprocess import DIGITS, IMAGE
from tests.middle_tier.http_parts import a_post, read_answer

pytestmark = pytest.mark.nats
PIXELS = np.zeros((1, 8, 8), np.float32)


def ready(machines) -> bool:
    """Whether it knows its tenants and has a node for the task."""
    with Mesh(machines.url, machines.token, ca=machines.ca) as mesh, suppress(MeshError):
        return mesh.ready() and bool(mesh.tasks())
    return False


@pytest.fixture
def gate(machines):
    until(lambda: ready(machines), "the cloud's own node serves")
    return machines


def context_of(gate, **changed) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=gate.ca)
    for name, value in changed.items():
        setattr(context, name, value)
    return context


async def sent(gate, data: bytes, *, name: str = "127.0.0.1", **changed):
    """The answer to raw bytes, over TLS."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", gate.gate, ssl=context_of(gate, **changed), server_hostname=name
    )
    try:
        writer.write(data)
        return await asyncio.wait_for(read_answer(reader), 20)
    finally:
        writer.close()
        await writer.wait_closed()


def test_json_is_answered_on_the_fast_lane(gate):
    data = a_post(DIGITS, json.dumps(IMAGE).encode(), f"Bearer {gate.token}")
    answer = asyncio.run(sent(gate, data))
    assert answer.status == 200
    assert json.loads(answer.body)["outputs"][0]["shape"] == [1, 10]


def test_tensors_in_binary_are_answered_on_the_fast_lane(gate):
    with Mesh(gate.url, gate.token, ca=gate.ca) as mesh:
        for _ in range(3):  # on one connection
            result = mesh.ask("digits", PIXELS, latency_ms=15_000)
            assert result.output.shape == (1, 10)


async def test_the_slow_lane_and_the_client_of_asyncio_are_answered(gate):
    async with AsyncMesh(gate.url, gate.token, ca=gate.ca) as mesh:
        assert "digits" in {task["name"] for task in await mesh.tasks()}
        assert (await mesh.ask("digits", PIXELS, latency_ms=15_000)).output.shape == (1, 10)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_is_answered_with_the_authority_only(gate):
    def curl(*more: object) -> int:
        command = ["curl", "-s", "-o", "/dev/null", "--fail", *more, f"{gate.url}/healthz"]
        return subprocess.run([*map(str, command)], check=False).returncode

    assert curl("--cacert", gate.ca) == 0
    assert curl() == 60  # not to be verified
    assert curl("--cacert", gate.ca, "--tls-max", "1.1") != 0


def test_the_command_pins_the_authority(gate, capsys, tmp_path):
    around = {"TIERMESH_URL": gate.url, "TIERMESH_TOKEN": gate.token}
    assert main.run(["tasks", "list", "--json", "--ca", str(gate.ca)], around) == 0
    assert main.run(["enrol", "list"], around | {"TIERMESH_CA": str(gate.ca)}) == 0
    assert main.run(["enrol", "list", "--dir", str(gate.etc("hub"))], around) == 0
    capsys.readouterr()
    assert main.run(["tasks", "list", "--dir", str(tmp_path)], around) == 1
    said = capsys.readouterr().err
    assert "is not whom it says" in said
    assert "--ca" in said


def test_without_the_authority_nothing_is_said(gate, tmp_path):
    with pytest.raises(UnreachableError, match="not whom it says"):
        Mesh(gate.url, gate.token).tasks()
    other = ca.Authority.kept(tmp_path / "ca.crt", tmp_path / "ca.key", time.time())
    assert other.pem() != gate.ca.read_text()
    with pytest.raises(UnreachableError, match="not whom it says"):
        Mesh(gate.url, gate.token, ca=tmp_path / "ca.crt").tasks()
    with pytest.raises(BadRequestError, match="not a certificate authority"):
        Mesh(gate.url, gate.token, ca=tmp_path / "none.crt")


async def test_the_client_of_asyncio_says_nothing_either(gate):
    async with AsyncMesh(gate.url, gate.token) as mesh:
        with pytest.raises(UnreachableError, match="not whom it says"):
            await mesh.tasks()


async def test_another_name_is_not_believed(gate):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await sent(gate, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", name="other.example.org")
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(gate.url, ssl=context_of(gate), server_hostname="other.example.org")


async def test_a_strict_client_believes_the_certificate(gate):
    """Python's own default from 3.13 on."""
    flags = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_TRUSTED_FIRST
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    assert (await sent(gate, head, verify_flags=flags)).status == 200


async def test_tls_is_no_token(gate):
    body = json.dumps(IMAGE).encode()
    assert (await sent(gate, a_post(DIGITS, body, None))).status == 401
    with Mesh(gate.url, "wrong", ca=gate.ca) as mesh, pytest.raises(UnauthenticatedError):
        mesh.tasks()


@pytest.mark.filterwarnings("ignore:.*TLSv1.*:DeprecationWarning")
def test_old_tls_is_refused(gate):
    old = context_of(
        gate, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1
    )
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", gate.gate), timeout=10) as link,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(link, server_hostname="127.0.0.1")


@pytest.mark.parametrize("where", ["gate", "site_gate"])
def test_plain_http_is_closed_without_a_trace(machines, where):
    port = getattr(machines, where)
    until(lambda: not ports.is_free(port), "it listens")
    log = machines.log("cloud" if where == "gate" else "site")
    head = f"GET /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {machines.token}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(head.encode())
        said = b""
        while data := link.recv(4096):
            said += data
    assert b"HTTP" not in said
    assert machines.token not in log.read_text()
    assert "Traceback" not in log.read_text()
