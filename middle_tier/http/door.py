"""Where a gate is reached: sockets that listen before all else, and the certificate shown there.

Whoever comes while the process still loads waits in the system's queue instead of being refused.
What is said to them is the lanes' business.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from middle_tier.http import early
from middle_tier.http.certificate import Certificate
from protocol.errors import BadRequestError

HANDSHAKE_S = 10.0
"""Longest time from a connection to a finished TLS handshake."""
GOODBYE_S = 1.0
"""Longest wait for a client's own end of TLS: many never say it."""


@dataclass(frozen=True, slots=True)
class Door:
    """Sockets that listen."""

    host: str
    """As it was configured."""
    sockets: tuple[socket.socket, ...]
    certificate: Certificate | None = None
    """None: plain HTTP."""

    @property
    def url(self) -> str:
        port = self.sockets[0].getsockname()[1]
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.certificate is None else 'https'}://{name}:{port}"

    async def served(self, lanes: Callable[[], asyncio.Protocol]) -> list[asyncio.Server]:
        """Have `lanes` make the protocol for whoever is waiting, and for all who come."""
        loop = asyncio.get_running_loop()
        shown = self.certificate
        return [
            await loop.create_server(
                lanes, sock=one, backlog=early.BACKLOG,
                ssl=None if shown is None else shown.context,
                ssl_handshake_timeout=None if shown is None else HANDSHAKE_S,
                ssl_shutdown_timeout=None if shown is None else GOODBYE_S,
            )
            for one in self.sockets
        ]  # fmt: skip


@contextmanager
def opened(
    host: str = "127.0.0.1", port: int = 0, *, tls: tuple[Path, Path] | None = None
) -> Iterator[Door]:
    """Listen until the block ends, on every address of `host`; port 0: one that is free.

    `tls`: a certificate and its key. Raises `OSError` for a port that is taken, `BadRequestError`
    for a host that has no address here and for files that will not do.
    """
    certificate = None if tls is None else Certificate(*tls)
    try:
        sockets = early.taken(host, port)
    except socket.gaierror as error:
        raise BadRequestError(
            f"{host}: {error.strerror}", "mend host in the configuration"
        ) from error
    with ExitStack() as stack:
        for one in sockets:
            stack.enter_context(one)
        yield Door(host, sockets, certificate)


def loopback(host: str) -> bool:
    """Whether nobody but this machine can reach `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
