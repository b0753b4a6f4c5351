"""Whom a client takes for its gate: one whose certificate its authority has signed, by its name."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from protocol.errors import BadRequestError, UnreachableError

_PIN = "give the mesh's ca.crt with --ca, TIERMESH_CA or Mesh(ca=...), and the gate's own name"


def tls(url: str, ca: Path | None) -> ssl.SSLContext | None:
    """What an https URL is verified with; None for plain HTTP. Raises `BadRequestError`."""
    if urlsplit(url).scheme != "https":
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
