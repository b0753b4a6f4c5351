"""`tiermesh up`: a whole mesh on this machine. What it is made of is the package `up`."""

import asyncio
import shlex
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from cloud_core.cli import answers, live, show
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.up import first
from cloud_core.up.bundles import demo
from cloud_core.up.detached import started
from cloud_core.up.layout import Layout
from cloud_core.up.mesh import Mesh, UpConfig, running
from cloud_core.up.signed import DEMO, repository
from cloud_core.up.state import State
from edge_agent.clock import SystemClock
from middle_tier.client import AsyncMesh


def up(
    *,
    folder: Dir = HOME,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of the cloud's gate: 8080, or any if that is taken."),
    ] = None,
    edges: Annotated[int, typer.Option(min=1, max=64, help="Edge agents.")] = 2,
    detach: Annotated[bool, typer.Option(help="Return when it answers; it goes on.")] = False,
    bundles: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder with bundles, beside the demo's; repeatable.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a cloud, a site and edge agents, each its own process, and ask them a first query."""
    config = UpConfig(
        dir=layout(folder).root,
        port=port,
        edges=edges,
        bundles=tuple(path.expanduser().absolute() for path in bundles or ()),
    )
    if detach:
        _detached(config, as_json=as_json)
    else:
        asyncio.run(_watched(config, as_json=as_json))


def _detached(config: UpConfig, *, as_json: bool) -> None:
    with show.aside.status("starting") as status:
        state = started(config, status.update)
        status.update("asking a first query")
        asked = asyncio.run(_first(state))
    if as_json:
        show.as_json(document(state))
    else:
        _welcome(state, asked)
        show.plain(f"stop it: tiermesh down --dir {shlex.quote(state.dir)}")


async def _watched(config: UpConfig, *, as_json: bool) -> None:
    """Run it here until Ctrl-C, which stops every process, agents first."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  # we run in one
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with show.aside.status("starting") as status:
        try:
            async with running(config, SystemClock(), status.update) as mesh:
                status.update("asking a first query")
                asked = await _first(mesh.state)
                status.stop()
                await _shown(mesh, asked, as_json=as_json)
        except asyncio.CancelledError:
            status.stop()
            show.aside.print("stopped")


async def _shown(mesh: Mesh, asked: live.Asked | None, *, as_json: bool) -> None:
    """Show the mesh until cancelled."""
    if as_json:
        show.as_json(document(mesh.state))
    else:
        _welcome(mesh.state, asked)
    try:
        await live.watching(lambda: mesh.state)
    finally:
        show.aside.print("stopping, agents first")


async def _first(state: State) -> live.Asked | None:
    """Ask a held-out image of the demo; None: its publisher was revoked, so it is not here."""
    layout = Layout(Path(state.dir))
    if repository(layout, time.time).revoked(DEMO):
        return None
    query = first.made(demo(), layout)
    async with AsyncMesh(state.url, state.token) as mesh:
        result = await mesh.ask(query.task, query.inputs, latency_ms=first.LATENCY_MS)
    return live.Asked(query, result)


def _welcome(state: State, asked: live.Asked | None) -> None:
    show.console.print(f"the mesh answers at [bold]{state.url}[/]\n", highlight=False)
    if asked is None:
        show.plain(f"the publisher {DEMO} was revoked: what it signed is not here\n")
        return
    live.show_query(asked.query)
    answers.show_result(asked.query.task, asked.result)
    line = first.curl(
        state.url, asked.query.task, asked.query.body, Layout(Path(state.dir)).token("demo")
    )
    show.plain("\nask it yourself:")
    show.plain(line)
    show.console.print()


def document(state: State) -> dict[str, object]:
    """Pure. Return what ``--json`` prints."""
    return state.model_dump(mode="json", exclude={"supervisor", "phase", "doing"})
