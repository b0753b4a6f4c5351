"""`tiermesh enrol`: tokens that devices join with, and who may."""

import re
from typing import Annotated
from urllib.parse import quote

import typer

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, Where, where
from cloud_core.cli.sending import post, sent
from protocol.errors import BadRequestError, ConflictError, UnknownError

app = typer.Typer(help="Devices that join the mesh.", no_args_is_help=True)

COLUMNS = ("site", "node", "tier", "state", "device", "detail")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@app.command()
def token(  # noqa: PLR0913  # each is an option of the command
    context: typer.Context,
    *,
    site: Annotated[str, typer.Option(help="The site that the device will belong to.")],
    tier: Annotated[str, typer.Option(help="edge, middle or cloud.")] = "edge",
    uses: Annotated[int, typer.Option(min=1, help="How many devices may use it.")] = 1,
    ttl: Annotated[str, typer.Option(help="How long it lives: 90s, 15m, 1h, 2d.")] = "1h",
    approved: Annotated[
        bool, typer.Option("--approved", help="Devices are active at once: nobody looks at them.")
    ] = False,
    url: Url = None,
    gate_token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Make a token for `tiermesh-agent enrol`. It is shown this once."""
    body = {"site": site, "tier": tier, "uses": uses, "ttl_s": seconds(ttl), "approved": approved}
    made = post(where(context, url, gate_token, folder), "/v1/identities/tokens", body)
    if as_json:
        show.as_json(made)
    else:
        show.plain(made["token"])


@app.command("list")
def list_(
    context: typer.Context,
    *,
    url: Url = None,
    gate_token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List who is enrolled, and who waits to be."""
    found = identities(where(context, url, gate_token, folder))
    if as_json:
        show.as_json({"identities": found})
        return
    show.table(COLUMNS, ([one[name] for name in COLUMNS] for one in found))


@app.command()
def approve(
    context: typer.Context,
    node: str,
    *,
    url: Url = None,
    gate_token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Let a device join, or come back from quarantine."""
    change(where(context, url, gate_token, folder), node, "approve", as_json=as_json)


@app.command()
def reject(
    context: typer.Context,
    node: str,
    *,
    url: Url = None,
    gate_token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Refuse a device for good."""
    change(where(context, url, gate_token, folder), node, "reject", as_json=as_json)


def seconds(text: str) -> float:
    """Pure. Return how long that is; raise `BadRequestError` when it is not a time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise BadRequestError(f"{text!r} is not a time", "give 90s, 15m, 1h or 2d")
    return float(found[1]) * _UNITS[found[2]]


def identities(place: Where) -> list[dict[str, str]]:
    """Return everybody's, as the gate says it."""
    found: list[dict[str, str]] = sent(place, "GET", "/v1/identities")["identities"]
    return found


def change(place: Where, name: str, event: str, *, as_json: bool) -> None:
    """Tell the gate what is to become of ``node`` or ``site/node``."""
    site, _, node = name.rpartition("/")
    sites = {one["site"] for one in identities(place) if one["node"] == node}
    if site:
        sites &= {site}
    if not sites:
        raise UnknownError(f"no identity {name[:127]!r}", "see `tiermesh enrol list`")
    if len(sites) > 1:
        where_ = ", ".join(f"{one}/{node}" for one in sorted(sites))
        raise ConflictError(f"{node} is in several sites", f"say which: {where_}")
    done = post(place, f"/v1/identities/{quote(sites.pop())}/{quote(node)}/{event}")
    if as_json:
        show.as_json(done)
    else:
        said = f"{done['site']}/{done['node']} is {done['state']}"
        show.plain(said)
