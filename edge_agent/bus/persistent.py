"""nats-py's client, signed in, that is closed by nobody but its owner.

nats-py closes for good when a server refuses a connection that stood, as it does when the
credentials expire. Ours reconnects, with whatever credentials there are by then.
"""

import ssl
from pathlib import Path
from typing import TypedDict

from edge_agent.bus.absent import absent
from edge_agent.identity.passport import Passport
from protocol.errors import BadRequestError

with absent("aiohttp"):  # see bus.nats
    from nats import errors
    from nats.aio.client import Client, JWTCallback, SignatureCallback

RECONNECT_WAIT_S = 0.1
REFUSED_WAIT_S = 2.0
"""Between two attempts while the server refuses the credentials: nothing changes that quickly."""


class Persistent(Client):
    """Reconnects for ever."""

    async def _process_err(self, err_msg: str) -> None:
        """Take a refusal for a lost connection; nats-py has no other place to say so."""
        if "permissions violation" in err_msg:
            await super()._process_err(err_msg)
            return
        await self._error_cb(errors.Error(f"nats: {err_msg}"))
        await self._process_op_err(errors.Error(err_msg))

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except errors.Error:
            self.options["reconnect_time_wait"] = REFUSED_WAIT_S
            raise
        self.options["reconnect_time_wait"] = RECONNECT_WAIT_S


class SignedIn(TypedDict, total=False):
    """What nats-py must be told of who connects, and whom it may believe."""

    user_jwt_cb: JWTCallback
    signature_cb: SignatureCallback
    inbox_prefix: str
    tls: ssl.SSLContext
    tls_handshake_first: bool


def signed_in(passport: Passport | None, ca: Path | None) -> SignedIn:
    """Return the options; raise `BadRequestError` for a CA that cannot be read.

    With a CA nothing is said before the handshake, so that nobody on the way can talk us out of it.
    """
    options: SignedIn = {}
    if passport is not None:
        options["user_jwt_cb"] = lambda: bytearray(passport.jwt.encode())
        options["signature_cb"] = passport.sign
        options["inbox_prefix"] = passport.inbox
    if ca is not None:
        try:
            options["tls"] = ssl.create_default_context(cafile=str(ca))
        except OSError as error:
            raise BadRequestError(
                f"{ca}: not a certificate authority's PEM", "copy ca.crt of `tiermesh init` there"
            ) from error
        options["tls_handshake_first"] = True
    return options
