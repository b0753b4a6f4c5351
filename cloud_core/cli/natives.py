"""`tiermesh tenants credentials`: what a tenant connects to NATS with, natively."""

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.cli import show
from cloud_core.cli.enrol import seconds
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where
from cloud_core.cli.sending import sent
from cloud_core.identity import claims
from cloud_core.identity.claims import Signer, User
from cloud_core.issuer import write_secret
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import Credentials
from protocol.errors import BadRequestError, ConflictError
from protocol.names import check_name


def credentials(  # noqa: PLR0913  # a command's options
    context: typer.Context,
    tenant: str,
    *,
    out: Annotated[Path | None, typer.Option(help="The .creds file to write.")] = None,
    lifetime: Annotated[str, typer.Option(help="How long they last: 12h, 90d.")] = "90d",
    revoke: Annotated[bool, typer.Option("--revoke", help="End those that there are.")] = False,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Give a tenant an account of NATS, in place of the one it had: it may ask, and no more.

    The keys are made here; the mesh is told the public ones, and only FILE has the secret.
    """
    if (out is None) is not revoke:
        raise BadRequestError("say what to do", "give --out FILE, or --revoke")
    place, path = (
        where(context, url, token, folder),
        f"/v1/tenants/{quote(tenant, safe='')}/account",
    )
    if out is None:
        _tell(sent(place, "DELETE", path), as_json=as_json)
        return
    if out.exists():
        raise ConflictError(f"{out} exists", "give a name that is free")
    account = nkeys.public_text(Ed25519PrivateKey.generate(), "A")
    signer = Signer(Ed25519PrivateKey.generate(), "A")
    made = minted(check_name(tenant, "tenant"), account, signer, seconds(lifetime))
    write_secret(out, made.text)
    given = sent(place, "PUT", path, {"account": account, "signing": signer.public})
    _tell({"tenant": tenant, "file": str(out), "account": given["account"]}, as_json=as_json)


def minted(tenant: str, account: str, signer: Signer, lifetime_s: float) -> Credentials:
    """Return the credentials of an account's only user."""
    key, now = Ed25519PrivateKey.generate(), int(time.time())
    public = nkeys.public_text(key, "U")
    user = User(tenant, public, account, {"site": tenant}, now + int(lifetime_s))
    return Credentials(claims.user(signer, user, now=now), key)


def _tell(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(document)
    else:
        show.fields(document.items())
