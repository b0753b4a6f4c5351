"""What a gate shows to prove that it is one: its certificate, read again when its files change.

Connections that are there keep what they were begun with; each new one gets the newest pair that
fits together. Who makes certificates is not said here (`tiermesh init`, or the operator's own).
"""

import logging
import ssl
from pathlib import Path

from edge_agent.clock import Clock
from protocol.errors import BadRequestError

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""Between two looks at the files."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secret and authenticated; 1.3 has no others."""
_Stamp = tuple[tuple[int, int, int], ...]
"""What changes when the files do; nothing, for files that are not there."""


class Certificate:
    """The mutable state is which pair is shown, and the files' stamps when last looked at."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises `BadRequestError` for files that are not a certificate and its key."""
        self._files = certificate, key
        self._stamp = self._stamped()
        try:
            self._shown = _context(certificate, key)
            self.context = _context(certificate, key)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise BadRequestError(
                f"{certificate} and {key} are no certificate and its key: {_why(error)}",
                "mend tls_certificate and tls_key: PEM, the chain in the first, no passphrase",
            ) from error
        self.context.sni_callback = self._show
        """What connections begin with; each is handed on to the pair that is shown now."""

    def __repr__(self) -> str:
        return f"<Certificate {self._files[0]}>"

    async def keep(self, clock: Clock) -> None:
        """Look for newer files, for ever."""
        while True:
            await clock.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Read the files again if they have changed; go on with what there was if they will not do.

        A renewal writes two files: between them they do not fit, and the second is a change again.
        """
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._shown = _context(*self._files)
        except (OSError, ValueError) as error:
            log.warning("%s: %s; the one before is shown", self._files[0], _why(error))
            return
        log.info("%s is shown from now on", self._files[0])

    def _show(self, link: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        link.context = self._shown

    def _stamped(self) -> _Stamp:
        try:
            found = [path.stat() for path in self._files]
        except OSError:
            return ()
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # A passphrase is never asked for on a terminal: that would be a gate that waits for ever.
    context.load_cert_chain(certificate, key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
