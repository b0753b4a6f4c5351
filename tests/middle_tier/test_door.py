"""Where a gate listens: before it serves, on every address, and with the newest certificate."""

import asyncio
import socket
import ssl
import time

import pytest
from pydantic import ValidationError

from cloud_core.identity import ca
from cloud_core.up import ports
from edge_agent.clock import ManualClock
from middle_tier.client import Mesh
from middle_tier.config import SiteConfig
from middle_tier.http import early
from middle_tier.http.certificate import LOOK_S, Certificate
from middle_tier.http.door import loopback, opened
from protocol.errors import BadRequestError, UnreachableError
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import a_gate, a_served, read_answer

HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: gate\r\n\r\n"


@pytest.fixture
def authority(tmp_path):
    return ca.Authority.kept(tmp_path / "ca.crt", tmp_path / "ca.key", time.time())


@pytest.fixture
def pair(authority, tmp_path):
    certificate, key = tmp_path / "gate.crt", tmp_path / "gate.key"
    authority.server("127.0.0.1", certificate, key, time.time())
    return certificate, key


def renewed(authority, pair) -> None:
    for path in pair:
        path.unlink()
    authority.server("127.0.0.1", *pair, time.time())


def accepting(listening: socket.socket):
    listening.setblocking(True)  # noqa: FBT003  # socket's
    return listening.accept()


async def shown(url: str, authority) -> bytes:
    """The certificate that the gate shows, having answered."""
    context = ssl.create_default_context(cadata=authority.pem())
    host, port = url.removeprefix("https://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.write(HEALTHY)
    assert (await asyncio.wait_for(read_answer(reader), 20)).status == 200
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


async def test_whoever_comes_early_waits_and_is_answered():
    with opened() as door:
        place = door.sockets[0].getsockname()
        early = [socket.create_connection(place, timeout=20) for _ in range(20)]
        for one in early:
            one.sendall(HEALTHY)
        async with a_served(EchoRouter(), door=door):
            for one in early:
                assert (await asyncio.to_thread(one.recv, 4096)).startswith(b"HTTP/1.1 200")
                one.close()


def test_what_is_opened_early_is_where_the_gate_will_be(tmp_path):
    port = ports.free(1)[0]
    for name, text in (("a.json", f'{{"port": {port}}}'), ("a.toml", f"port = {port}\n")):
        (tmp_path / name).write_text(text)
        early.listening(["--log-level", "info", "--config", str(tmp_path / name)])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as waits:
            with opened(port=port) as door:
                accepted, place = accepting(door.sockets[0])
                accepted.close()
            assert place == waits.getsockname()
        assert ports.is_free(port)
    fields = SiteConfig.model_fields
    assert (fields["host"].default, fields["port"].default) == (early.HOST, early.PORT)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"port": "x"}', '{"host": 1}', '{"port": 0}'])
def test_what_cannot_be_opened_early_is_left_to_who_reads_the_rest(tmp_path, text):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    early.listening([f"--config={tmp_path / 'a.json'}"])
    early.listening([])
    early.listening(["--config"])


def test_every_address_of_a_name_has_the_same_port():
    with opened("localhost") as door:
        assert {one.getsockname()[1] for one in door.sockets} == {int(door.url.rsplit(":", 1)[1])}


def test_a_port_that_is_taken_and_a_host_that_is_not_here_are_said():
    with opened() as door, pytest.raises(OSError, match=r"cannot listen at 127\.0\.0\.1 port"):
        opened(port=door.sockets[0].getsockname()[1]).__enter__()
    with pytest.raises(BadRequestError, match=r"nowhere\.invalid"):
        opened("nowhere.invalid").__enter__()


async def test_a_renewed_certificate_is_shown_without_a_restart(authority, pair):
    clock = ManualClock()
    with opened(tls=pair) as door:
        async with a_served(EchoRouter(), clock=clock, gate=a_gate(clock), door=door) as (url, _):
            before = await shown(url, authority)
            assert await shown(url, authority) == before
            renewed(authority, pair)
            await clock.advance(LOOK_S)
            assert await shown(url, authority) != before


async def test_a_client_looks_at_the_name(pair, tmp_path):
    with opened("127.0.0.2", tls=pair) as door:
        async with a_served(EchoRouter(), door=door) as (url, token):
            bearer = token.removeprefix("Bearer ")
            with pytest.raises(UnreachableError, match="not whom it says"):
                await asyncio.to_thread(Mesh(url, bearer, ca=tmp_path / "ca.crt").tasks)


def test_half_a_renewal_is_not_shown_and_the_whole_of_it_is(authority, pair, tmp_path, caplog):
    certificate = Certificate(*pair)
    before = certificate._shown  # noqa: SLF001  # what the next connection would get
    other = tmp_path / "next.crt", tmp_path / "next.key"
    authority.server("127.0.0.1", *other, time.time())
    other[0].replace(pair[0])
    certificate.look()
    assert certificate._shown is before  # noqa: SLF001
    assert "the one before is shown" in caplog.text
    other[1].replace(pair[1])
    certificate.look()
    assert certificate._shown is not before  # noqa: SLF001


def test_files_that_go_away_meanwhile_end_nothing(pair, caplog):
    certificate = Certificate(*pair)
    pair[1].unlink()
    certificate.look()
    assert "the one before is shown" in caplog.text


@pytest.mark.parametrize("what", ["missing", "another key", "not PEM"])
def test_a_certificate_that_will_not_do_is_refused_at_start(authority, pair, tmp_path, what):
    certificate, key = pair
    if what == "missing":
        key.unlink()
    elif what == "not PEM":
        certificate.write_text("not a certificate")
    else:
        key = tmp_path / "other.key"
        authority.server("127.0.0.1", tmp_path / "other.crt", key, time.time())
    with pytest.raises(BadRequestError) as failed:
        Certificate(certificate, key)
    assert "tls_key" in failed.value.hint


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host": "0.0.0.0"}, "plain HTTP is for a loopback host"),  # noqa: S104  # what is refused
        ({"host": "gate.example.org"}, "plain HTTP is for a loopback host"),
        ({"tls_certificate": "gate.crt"}, "both tls_certificate and tls_key"),
        ({"host": "::", "tls_key": "gate.key"}, "both tls_certificate and tls_key"),
    ],
)
def test_plain_http_to_the_network_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        SiteConfig(site="s", keys="gate.json", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"plain_http": True},
        {"tls_certificate": "gate.crt", "tls_key": "gate.key"},
    ],
)
def test_the_network_may_be_listened_to_with_tls_or_behind_a_proxy(changes):
    assert SiteConfig(site="s", keys="gate.json", host="0.0.0.0", **changes).host  # noqa: S104


def test_what_is_loopback():
    assert all(map(loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(loopback, ("0.0.0.0", "", "::", "10.0.0.1", "localhost.example.org")))  # noqa: S104
