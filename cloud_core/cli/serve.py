"""`tiermesh serve`: the quick way in. Model files as tasks, on loopback, from one process."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.markup import escape

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.serve import Order, Served, alone, over_nats
from cloud_core.up import first, ports
from cloud_core.up.layout import Layout
from cloud_core.up.mesh import GATE_PORT
from edge_agent.clock import SystemClock
from edge_agent.garbage import settle_in
from edge_agent.profiler import filled
from protocol.errors import BadRequestError
from protocol.names import check_name

Serving = AbstractAsyncContextManager[Served]


def _name(name: str | None) -> str | None:
    try:
        return check_name(name, "task") if name else None
    except BadRequestError as error:
        raise typer.BadParameter(f"{error.error}: {error.hint}") from error


def serve(  # noqa: PLR0913  # one parameter an option
    files: Annotated[
        list[Path],
        typer.Argument(
            help=".onnx, .tflite or .pt2 files.", exists=True, dir_okay=False, readable=True
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(help="Of the task, for all files; else after each file.", callback=_name),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of the gate: 8080, or any if that is taken."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Within one run.")] = 1,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Ask for no token.")] = False,
    nats: Annotated[
        bool, typer.Option("--nats", help="Gate and agent apart, a NATS server between them.")
    ] = False,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Serve model files as tasks, on 127.0.0.1 only, until Ctrl-C."""
    for path in files:
        if path.suffix == ".pt2":
            show.aside.print(
                f"[yellow]warning:[/] {escape(str(path))} is code: loading it runs what is in it. "
                "Serve only what you trust.",
                highlight=False,
            )
    order = Order(
        files=tuple(path.absolute() for path in files),
        name=name or None,
        layout=layout(folder),
        port=_port(port),
        threads=threads,
        auth=not no_auth,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serving(order, nats=nats, as_json=as_json))


def _port(asked: int | None) -> int:
    if asked is not None:
        return ports.claimed(asked) if asked else 0
    if ports.is_free(GATE_PORT):
        return GATE_PORT
    show.remark(f"port {GATE_PORT} is taken: taking another")
    return 0


async def _serving(order: Order, *, nats: bool, as_json: bool) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  # we run in one
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    way = over_nats if nats else alone
    try:
        with show.aside.status("reading the files") as status:
            async with way(order, SystemClock(), status.update) as served:
                status.stop()
                _say(order.layout, served, as_json=as_json)
                settle_in()
                await asyncio.Event().wait()
    except asyncio.CancelledError:
        show.aside.print("stopped")
    except OSError as error:
        raise BadRequestError(f"the gate cannot listen: {error.strerror}", "see --port") from error


def _say(place: Layout, served: Served, *, as_json: bool) -> None:
    if as_json:
        tasks = [task.model_dump(mode="json") for task in served.tasks]
        show.as_json({"url": served.url, "token": served.token, "tasks": tasks})
        return
    show.console.print(f"serving at [bold]{served.url}[/]", highlight=False)
    if served.token:
        show.plain("the token, for the header Authorization: Bearer")
        show.plain(served.token)
    token = place.token("operator") if served.token else None
    for task in served.tasks:
        tensors = ", ".join(f"{a.name} {a.datatype} {list(a.shape)}" for a in task.inputs)
        said = escape(tensors)
        show.console.print(f"\n[bold]{task.name}[/] takes {said}", highlight=False)
        body = place.root / f"serve-{task.name}.json"
        query = first.written(task, filled(task, 1), body)
        show.plain(first.curl(served.url, query.task, query.body, token))
    show.plain("\nCtrl-C stops it")
