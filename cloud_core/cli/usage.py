"""`tiermesh usage`: what tenants have asked, what it cost, how often it was as they wanted it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where
from cloud_core.cli.sending import sent

COLUMNS = ("tenant", "when", "queries", "answered", "met", "attainment", "rows", "cost USD")


def usage(
    context: typer.Context,
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show queries, cost and attainment by tenant: at the cloud's gate, of the whole mesh."""
    asked = f"?tenant={quote(tenant, safe='')}" if tenant else ""
    found = sent(where(context, url, token, folder), "GET", f"/v1/usage{asked}")
    if as_json:
        show.as_json(found)
        return
    show.table(COLUMNS, rows(found), title=str(found["scope"]))


def rows(found: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """Pure. Two lines a tenant: today, and since counting began."""
    for tenant, used in found["tenants"].items():
        today = found.get("today", {}).get(tenant)
        if today is not None:
            yield _row(tenant, "today", today)
        yield _row(tenant, "in all", used)


def _row(tenant: str, when: str, used: Mapping[str, Any]) -> tuple[object, ...]:
    share = used["attainment"]
    attainment = None if share is None else f"{share:.2%}"
    return (
        tenant, when, used["queries"], used["answered"], used["met"], attainment, used["rows"],
        used["cost_usd"],
    )  # fmt: skip
