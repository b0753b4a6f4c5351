"""`tiermesh tasks`: what can be asked for."""

from collections.abc import Mapping
from typing import Any

import typer
from rich.markup import escape

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, where
from protocol.errors import UnknownError

app = typer.Typer(help="What can be asked for.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List the tasks."""
    with where(context, url, token, folder).mesh() as mesh:
        tasks = mesh.tasks()
    if as_json:
        show.as_json({"tasks": tasks})
        return
    columns = ("task", "variants", "best", "metric", "what it is")
    show.table(columns, (_row(task) for task in tasks))


@app.command("show")
def show_(
    context: typer.Context,
    task: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show a task's tensors and its variants."""
    with where(context, url, token, folder).mesh() as mesh:
        tasks = mesh.tasks()
    found = next((one for one in tasks if one["name"] == task), None)
    if found is None:
        names = ", ".join(one["name"] for one in tasks)
        raise UnknownError(f"no task {task[:63]!r}", f"there are {names}" if names else "none yet")
    if as_json:
        show.as_json(found)
        return
    _show(found)


def _row(task: Mapping[str, Any]) -> tuple[object, ...]:
    variants = task["variants"]
    best = max((one["accuracy"] for one in variants), default=None)
    return (task["name"], len(variants), best, task["metric"], task["description"])


def _show(task: Mapping[str, Any]) -> None:
    said = escape(task["description"])
    show.console.print(f"[bold]{task['name']}[/] {said}", highlight=False)
    tensors = [(way, axes) for way in ("inputs", "outputs") for axes in task[way]]
    show.table(
        ("", "tensor", "type", "shape"),
        [(w, a["name"], a["datatype"], str(a["shape"])) for w, a in tensors],
    )
    show.console.print()
    columns = ("variant", "architecture", "format", "precision", task["metric"], "KB", "max batch")
    variants = sorted(task["variants"], key=lambda one: (-one["accuracy"], one["variant"]))
    show.table(columns, (_variant(one) for one in variants))


def _variant(one: Mapping[str, Any]) -> tuple[object, ...]:
    kinds = (one["variant"], one["architecture"], one["format"], one["precision"])
    return (*kinds, one["accuracy"], round(one["size_bytes"] / 1000, 1), one["max_batch"])
