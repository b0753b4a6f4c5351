"""`tiermesh doctor`: what is wrong on this machine, and how to mend it. It looks with `checks`."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloud_core.cli import checks, credentials, show, signatures
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.up.bundles import demo
from protocol.errors import UnknownError

COLOURS = {"OK": "green", "WARN": "yellow", "FAIL": "red"}


def doctor(
    *,
    folder: Dir = HOME,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the gate.")] = 8080,
    bundles: Annotated[
        list[Path] | None, typer.Option(help="A folder with bundles; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check ports, NATS, runtimes, bundles, clock, disk and the running mesh. Exit 1 on a FAIL."""
    place = layout(folder)
    found = [
        checks.port(place, port),
        checks.nats_server(),
        *checks.runtimes(),
        *checks.bundles(_roots(bundles)),
        *signatures.findings(place, time.time()),
        *credentials.findings(place, time.time()),
        checks.clock(time.time()),
        checks.disk(place),
        *checks.mesh(place),
    ]
    if as_json:
        show.as_json({"checks": [finding._asdict() for finding in found]})
    else:
        _print(found)
    if any(finding.level == "FAIL" for finding in found):
        raise typer.Exit(1)


def _roots(given: list[Path] | None) -> list[Path]:
    try:
        return [demo(), *(given or ())]
    except UnknownError:
        return list(given or ())


def _print(found: list[checks.Finding]) -> None:
    for level, what, said, mend in found:
        show.console.print(
            f"[{COLOURS[level]}]{level:4}[/] {what:8} {escape(said)}",
            highlight=False,
            soft_wrap=True,
        )
        if mend:
            show.console.print(
                f"     {'':8} [dim]{escape(mend)}[/]", highlight=False, soft_wrap=True
            )
