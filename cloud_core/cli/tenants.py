"""`tiermesh tenants`: who may ask, for what, and how much."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args
from urllib.parse import quote

import typer

from cloud_core.cli import natives, show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where
from cloud_core.cli.sending import sent
from protocol.errors import BadNameError
from protocol.names import check_name
from protocol.tokens import Scope
from protocol.types import Tier

app = typer.Typer(help="The tenants of the mesh.", no_args_is_help=True)
app.command("credentials")(natives.credentials)


def _among(known: tuple[str, ...]) -> Callable[[list[str] | None], list[str] | None]:
    def check(given: list[str] | None) -> list[str] | None:
        for one in given or ():
            if one not in known:
                raise typer.BadParameter(f"{one!r} is none of {', '.join(known)}")
        return given

    return check


Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        help="ask, plan, read or operate; repeatable.",
        callback=_among(get_args(Scope)),
    ),
]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="May ask for it; repeatable.")]
Tiers = Annotated[
    list[str] | None,
    typer.Option("--tier", help="May run there; repeatable.", callback=_among(get_args(Tier))),
]
Rate = Annotated[float | None, typer.Option(min=0, help="Queries a second, at each gate.")]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Queries under way, at each gate.")]
UsdPerDay = Annotated[float | None, typer.Option(min=0, help="Cost a day, UTC.")]


def _name(name: str) -> str:
    try:
        return check_name(name, "tenant")
    except BadNameError as error:
        raise typer.BadParameter(f"{error.error}: {error.hint}") from error


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may; None: whatever there is."""

    scopes: list[str] | None = None
    tasks: list[str] | None = None
    tiers: list[str] | None = None
    rate: float | None = None
    concurrency: int | None = None
    usd_per_day: float | None = None

    def document(self) -> dict[str, Any]:
        """Pure. As the gate takes it."""
        budget = {
            "queries_per_s": self.rate,
            "concurrency": self.concurrency,
            "usd_per_day": self.usd_per_day,
        }
        said: dict[str, Any] = {
            "scopes": self.scopes or None,
            "tasks": self.tasks or None,
            "tiers": self.tiers or None,
            "budget": {name: value for name, value in budget.items() if value is not None} or None,
        }
        return {name: value for name, value in said.items() if value is not None}


@app.command()
def add(  # noqa: PLR0913  # a command's options
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(callback=_name)],
    *,
    scopes: Scopes = None,
    tasks: Tasks = None,
    tiers: Tiers = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    usd_per_day: UsdPerDay = None,
    share: Annotated[float, typer.Option(help="Of the mesh under overload, against others.")] = 1.0,
    note: Annotated[str, typer.Option(help="For people.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Change one that there is.")] = False,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Add a tenant, or change one; what is not said is not limited."""
    rights = Rights(scopes, tasks, tiers, rate, concurrency, usd_per_day)
    document = {"name": tenant, "share": share, "note": note, **rights.document()}
    place = where(context, url, token, folder)
    if replace:
        _show(sent(place, "PUT", _path(tenant), document), as_json=as_json)
    else:
        _show(sent(place, "POST", "/v1/tenants", document), as_json=as_json)


@app.command("list")
def list_(
    context: typer.Context,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List the tenants."""
    found = sent(where(context, url, token, folder), "GET", "/v1/tenants")
    if as_json:
        show.as_json(found)
        return
    columns = ("tenant", "scopes", "tasks", "tiers", "budget", "share", "note")
    show.table(columns, (_row(tenant) for tenant in found["tenants"]))


@app.command("show")
def show_(
    context: typer.Context,
    tenant: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show one tenant."""
    _show(sent(where(context, url, token, folder), "GET", _path(tenant)), as_json=as_json)


@app.command()
def remove(
    context: typer.Context,
    tenant: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Remove a tenant: its tokens are worth nothing from now on."""
    _show(sent(where(context, url, token, folder), "DELETE", _path(tenant)), as_json=as_json)


def budget(said: Mapping[str, Any]) -> str:
    """Pure. A budget as people read it."""
    units = {"queries_per_s": "queries/s", "concurrency": "at a time", "usd_per_day": "USD/day"}
    return ", ".join(f"{said[name]:g} {unit}" for name, unit in units.items() if said.get(name))


def _show(document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(document)
    else:
        show.fields(document.items())


def _path(tenant: str) -> str:
    return f"/v1/tenants/{quote(tenant, safe='')}"


def _row(tenant: Mapping[str, Any]) -> tuple[object, ...]:
    every = {name: tenant[name] if tenant[name] is not None else "every" for name in _OPEN}
    return (
        tenant["name"], tenant["scopes"], every["tasks"], every["tiers"],
        budget(tenant["budget"]) or "none", tenant["share"], tenant["note"],
    )  # fmt: skip


_OPEN = ("tasks", "tiers")
