"""Ports on loopback: which are free, and what to say when one is not."""

import random
import socket
from collections.abc import Iterator

from protocol.errors import ConflictError

LOW, HIGH = 20_000, 32_000
"""Below the range that systems hand to outgoing connections, so that none of those takes one."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free(count: int, *, seed: int | None = None) -> list[int]:
    """Return `count` different free ports."""
    found: list[int] = []
    for port in _candidates(random.Random(seed)):  # noqa: S311  # a port is no secret
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ConflictError("no free port is left", f"close something between {LOW} and {HIGH}")


def claimed(port: int) -> int:
    """Return `port`, which somebody asked for by number; raise `ConflictError` when it is taken."""
    if not is_free(port):
        raise ConflictError(
            f"port {port} is taken", "give another with --port, or 0 for any that is free"
        )
    return port


def _candidates(rng: random.Random) -> Iterator[int]:
    return iter(rng.sample(range(LOW, HIGH), HIGH - LOW))
