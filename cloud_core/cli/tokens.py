"""`tiermesh tokens`: what callers prove themselves with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, layout, where
from cloud_core.cli.recorded import audit_log
from cloud_core.cli.sending import sent
from cloud_core.cli.tenants import Concurrency, Rate, Rights, Scopes, Tasks, Tiers, UsdPerDay
from cloud_core.issuer import OPERATOR, SigningKey, write_secret
from cloud_core.tenants import DAY_S, MAX_LIFETIME_S, Wanted, mint
from edge_agent.clock import SystemClock
from protocol.errors import UnknownError

app = typer.Typer(help="Tokens: issued to tenants, and taken back.", no_args_is_help=True)

Days = Annotated[
    float, typer.Option(min=1 / DAY_S, max=MAX_LIFETIME_S / DAY_S, help="How long it is good for.")
]


@app.command()
def issue(  # noqa: PLR0913  # a command's options
    context: typer.Context,
    tenant: str,
    *,
    scopes: Scopes = None,
    tasks: Tasks = None,
    tiers: Tiers = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    usd_per_day: UsdPerDay = None,
    days: Days = 90.0,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Sign with the key under --dir, asking nobody: the way back when the operator's "
            "token is lost.",
        ),
    ] = False,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Issue a token to a tenant. It is shown this once and kept nowhere."""
    rights = Rights(scopes, tasks, tiers, rate, concurrency, usd_per_day)
    document = {"tenant": tenant, "lifetime_s": round(days * DAY_S), **rights.document()}
    if local:
        found = _local(folder, Wanted.model_validate(document))
    else:
        found = sent(where(context, url, token, folder), "POST", "/v1/tokens", document)
    if as_json:
        show.as_json(found)
    else:
        show.plain(str(found["token"]))


@app.command("list")
def list_(
    context: typer.Context,
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List the tokens that were issued, the newest first."""
    asked = f"?tenant={quote(tenant, safe='')}" if tenant else ""
    found = sent(where(context, url, token, folder), "GET", f"/v1/tokens{asked}")
    if as_json:
        show.as_json(found)
        return
    columns = ("id", "tenant", "scopes", "issued", "expires", "by", "revoked")
    show.table(columns, (_row(one) for one in found["tokens"]))


@app.command()
def revoke(  # noqa: PLR0913  # a command's options
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Of the token, as `list` shows it.")],  # noqa: A002  # the contract's word
    *,
    unlisted: Annotated[
        bool,
        typer.Option(
            "--unlisted", help="Also one that `list` does not show: issued with --local elsewhere."
        ),
    ] = False,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Take a token back: every gate that can be reached refuses it within two seconds."""
    path = f"/v1/tokens/{quote(id, safe='')}{'?unlisted=true' if unlisted else ''}"
    found = sent(where(context, url, token, folder), "DELETE", path)
    if as_json:
        show.as_json(found)
    else:
        show.plain(f"revoked: {found['id']} of {found['tenant']}")


def _local(folder: Path, wanted: Wanted) -> dict[str, Any]:
    """Mint it here; whoever may read the key may do that. The mesh's audit log says so."""
    place, clock = layout(folder), SystemClock()
    if not place.signing_key.exists():
        raise UnknownError(f"no key at {place.signing_key}", "give the mesh's folder with --dir")
    scopes = wanted.scopes or OPERATOR
    audit = audit_log(place)
    key = SigningKey.kept(place.signing_key)
    minted = mint(key, wanted, scopes, by="local", now=clock.wall())
    audit.record(
        "token-issue-local", actor="local", tenant=wanted.tenant, id=minted.issued.id,
        scopes=",".join(scopes), expires=minted.issued.expires,
    )  # fmt: skip
    write_secret(place.token(wanted.tenant), minted.token + "\n")
    return {"token": minted.token, **minted.issued.model_dump(mode="json")}


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    times = {name: _day(one[name]) for name in ("issued", "expires", "revoked")}
    return (
        one["id"], one["tenant"], one["scopes"], times["issued"], times["expires"], one["by"],
        times["revoked"],
    )  # fmt: skip


def _day(at: int | None) -> str | None:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" if at else None
