"""A gate's sockets, opened while all else is still to be imported: by the standard library alone.

`__main__` calls `listening` before its other imports, which take most of a start; `door` takes what
is kept here. What cannot be opened now is opened, or complained of, once the configuration is read.
"""

import json
import os
import socket
import tomllib
from collections.abc import Sequence
from pathlib import Path

HOST, PORT = "127.0.0.1", 8080
"""What a configuration means that says neither."""
BACKLOG = 1024

_kept: dict[tuple[str, int], tuple[socket.socket, ...]] = {}


def listening(arguments: Sequence[str]) -> None:
    """Listen where the configuration on a command line says; never raises."""
    try:
        host, port = _place(arguments)
        if port:
            _kept[host, port] = bound(host, port)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return


def taken(host: str, port: int) -> tuple[socket.socket, ...]:
    """Return sockets that listen there: the caller's from now on. Raises what `bound` raises."""
    return _kept.pop((host, port), None) or bound(host, port)


def bound(host: str, port: int) -> tuple[socket.socket, ...]:
    """Return sockets that listen on every address of `host`; port 0: one that is free.

    Raises `OSError`: the host has no address here, or the port is taken.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((one[0], str(one[4][0])) for one in found):
            chosen = opened[0].getsockname()[1] if opened else port
            opened.append(_one(family, address, chosen))
    except OSError:
        for one in opened:
            one.close()
        raise
    return tuple(opened)


def _one(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    try:
        made = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        said = f"cannot listen at {address} port {port}: {os.strerror(error.errno or 0)}"
        raise OSError(error.errno, said) from error
    made.setblocking(False)  # noqa: FBT003  # socket's
    return made


def _place(arguments: Sequence[str]) -> tuple[str, int]:
    """Return host and port; whatever is wrong with the rest is said by who reads all of it."""
    given = [one.removeprefix("--config=") for one in arguments if one.startswith("--config=")]
    path = Path(given[0] if given else arguments[arguments.index("--config") + 1])
    data = path.read_bytes()
    said = tomllib.loads(data.decode()) if path.suffix == ".toml" else json.loads(data)
    host, port = said.get("host", HOST), said.get("port", PORT)
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError("no place to listen at")
    return host, port
