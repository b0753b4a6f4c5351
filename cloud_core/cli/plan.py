"""`tiermesh plan`: a dry run. What would be chosen now, and why each other candidate is out."""

from typing import Annotated, Any

import typer

from cloud_core.cli import answers, show, wants
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where


def plan(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Such as digits; see `tiermesh tasks list`.")],
    *,
    rows: Annotated[int, typer.Option(min=1, help="Rows of the query.")] = 1,
    latency_ms: wants.LatencyMs = None,
    percentile: wants.Percentile = None,
    min_accuracy: wants.MinAccuracy = None,
    max_cost: wants.MaxCost = None,
    architecture: wants.Architecture = None,
    variant: wants.Variant = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show what the mesh would do with such a query now, without doing it."""
    options = {
        "latency_ms": latency_ms,
        "percentile": percentile,
        "min_accuracy": min_accuracy,
        "max_cost_usd": max_cost,
        "architecture": architecture,
        "variant": variant,
    }
    given: Any = {name: value for name, value in options.items() if value is not None}
    with where(context, url, token, folder).mesh() as mesh:
        found = mesh.plan(task, rows=rows, **given)
    if as_json:
        show.as_json(found)
    else:
        answers.show_plan(found)
