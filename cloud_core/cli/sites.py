"""`tiermesh sites`: nodes that share a router; the cloud is one too."""

from typing import Any

import typer

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where
from protocol.errors import UnknownError

app = typer.Typer(help="The sites of the mesh.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List the sites that the gate knows."""
    sites = where(context, url, token, folder).mesh().sites()
    if as_json:
        show.as_json({"sites": sites})
        return
    show.table(("site", "health", "nodes", "tasks", "link ms"), (_row(site) for site in sites))


@app.command("show")
def show_(
    context: typer.Context,
    site: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show one site."""
    sites = where(context, url, token, folder).mesh().sites()
    found = next((one for one in sites if one["site"] == site), None)
    if found is None:
        names = ", ".join(str(one["site"]) for one in sites)
        raise UnknownError(f"no site {site[:63]}", f"there are {names}")
    if as_json:
        show.as_json(found)
        return
    show.fields(found.items())


def _row(site: dict[str, Any]) -> tuple[object, ...]:
    return tuple(site.get(name) for name in ("site", "health", "nodes", "tasks", "link_ms"))
