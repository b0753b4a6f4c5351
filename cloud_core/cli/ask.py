"""`tiermesh ask`: one query, and what came of it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cloud_core.cli import answers, inputs, show, wants
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where


def ask(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Such as digits; see `tiermesh tasks list`.")],
    file: Annotated[
        Path,
        typer.Option(
            "--input",
            help=".npy, .npz, .json or .txt; - is standard input.",
            callback=inputs.there,
        ),
    ],
    *,
    latency_ms: wants.LatencyMs = None,
    percentile: wants.Percentile = None,
    min_accuracy: wants.MinAccuracy = None,
    max_cost: wants.MaxCost = None,
    architecture: wants.Architecture = None,
    variant: wants.Variant = None,
    timeout_ms: Annotated[
        float | None,
        typer.Option(
            "--timeout-ms", help="Hard deadline: not run after it.", callback=wants.above_zero
        ),
    ] = None,
    explain: Annotated[bool, typer.Option(help="Show the plan as well.")] = False,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Ask TASK for the answer to --input, with what you need of it; the mesh chooses the rest."""
    options = {
        "latency_ms": latency_ms,
        "percentile": percentile,
        "min_accuracy": min_accuracy,
        "max_cost_usd": max_cost,
        "architecture": architecture,
        "variant": variant,
        "timeout_ms": timeout_ms,
        "explain": explain or None,
    }
    given: Any = {name: value for name, value in options.items() if value is not None}
    with where(context, url, token, folder).mesh(wants.patience_s(given)) as mesh:
        result = mesh.ask(task, inputs.read(file, mesh.task(task)), **given)
    if as_json:
        show.as_json(answers.document(task, result))
        return
    answers.show_result(task, result)
    if result.plan is not None:
        answers.show_plan(result.plan)
