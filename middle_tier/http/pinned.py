"""Whom a client takes for its gate: the one that the URL names, by a certificate for https.

It is not the connection: nothing is sent from here. What is not surely a gate's URL is refused, for
a token sent in clear, or to another host, cannot be taken back.
"""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import aiohttp

from protocol.errors import BadRequestError, UnreachableError

_PIN = "give the mesh's ca.crt with --ca, TIERMESH_CA or Mesh(ca=...), and the gate's own name"


_URL = "give a gate's URL whole, as https://HOST:8080 (http:// where nobody else listens)"


class Place(NamedTuple):
    """Where a gate is, as its URL says."""

    host: str
    port: int | None
    base: str
    """What its routes are below: no slash at the end."""
    tls: ssl.SSLContext | None
    """What it is verified with; None for plain HTTP."""


def place(url: str, ca: Path | None) -> Place:
    """Raises `BadRequestError` for what is not a gate's URL, or is plain beside an authority."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadRequestError(f"{url[:200]!r} is not a URL: {error}", _URL) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise BadRequestError(f"{url[:200]!r} is not the URL of a gate", _URL)
    return Place(host, port, parts.path.rstrip("/"), _tls(parts, ca))


def _tls(parts: SplitResult, ca: Path | None) -> ssl.SSLContext | None:
    if parts.scheme == "http":
        if ca is not None:
            raise BadRequestError(
                f"nothing at http://{parts.hostname} can be verified with {ca}",
                "give the URL with https://, or no authority (--ca, TIERMESH_CA, Mesh(ca=...))",
            )
        return None
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ValueError) as error:
        raise BadRequestError(
            f"{ca} is not a certificate authority in PEM: {getattr(error, 'strerror', error)}",
            "give the ca.crt that `tiermesh init` has made",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def unreachable(url: str, error: Exception) -> UnreachableError:
    why = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
        return UnreachableError(f"{url} is not whom it says: {_unproved(error)}", _PIN)
    return UnreachableError(f"{url} does not answer: {why}", "is the mesh up? see: tiermesh doctor")


def _unproved(error: Exception) -> str:
    cause = getattr(error, "certificate_error", error)
    return getattr(cause, "verify_message", None) or str(cause)
