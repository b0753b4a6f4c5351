"""What is published leaves at once, on either event loop, and never fills the memory."""

import asyncio
import signal
import socket

import pytest
import uvloop

from edge_agent.bus.base import Bus
from edge_agent.bus.direct import MAX_UNSENT_BYTES
from edge_agent.bus.nats import connecting
from protocol.codec import Frame, encode
from protocol.errors import UnreachableError
from protocol.messages import Ask, Asks, Ping
from protocol.types import Tensor
from tests.conftest import NatsServer

pytestmark = pytest.mark.nats
HERE = "tm.v1.route.here"
ROWS = 4 << 20


def large() -> Frame:
    tensor = Tensor(name="x", datatype="UINT8", shape=(ROWS,))
    ask = Ask(id="1", variant="v", inputs=(tensor,), budget_ms=1, deadline_ms=1)
    return Frame(Asks(items=(ask,)), (bytes(ROWS),))


def fill(bus: Bus) -> None:
    for _ in range(2 * MAX_UNSENT_BYTES // ROWS):
        bus.publish(HERE, large())


def listening(server: NatsServer) -> socket.socket:
    """A subscriber that shares no event loop with anybody."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    plain.sendall(b'CONNECT {"verbose":false}\r\nSUB %s 1\r\nPING\r\n' % HERE.encode())
    hear(plain, b"PONG")
    return plain


def hear(plain: socket.socket, wanted: bytes) -> None:
    """Read until it has come. A server says more than that, and when it likes: it pings."""
    heard = b""
    while wanted not in heard:
        piece = plain.recv(4096)
        assert piece, f"hung up after {heard!r}"
        heard += piece


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_published_arrives_before_the_turn_of_the_loop_ends(own_nats, factory):
    async def published() -> None:
        with listening(own_nats) as plain:
            async with connecting(own_nats.url, name="test") as bus:
                bus.publish(HERE, Frame(Ping()))
                hear(plain, encode(Frame(Ping())))  # the loop stands still meanwhile

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(published())


async def test_a_server_that_does_not_read_is_out_of_reach_and_memory_is_bounded(own_nats):
    async with connecting(own_nats.url, name="test") as bus:
        own_nats.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(UnreachableError, match="does not read"):
                fill(bus)
        finally:
            own_nats.process.send_signal(signal.SIGCONT)
