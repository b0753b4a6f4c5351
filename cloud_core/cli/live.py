"""What `tiermesh up` shows while it runs: nodes by tier, health, queries, queues, processes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cloud_core.cli import nodes, show
from cloud_core.up.first import First
from cloud_core.up.state import State
from edge_agent.runtimes.base import Array
from middle_tier.client import AsyncMesh
from middle_tier.http.wirecall import Result
from protocol.errors import MeshError

PERIOD_S = 1.0
SHADES = " .:-=+*#%@"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and its answer."""

    query: First
    result: Result


async def watching(state: Callable[[], State]) -> None:
    """Show the mesh until cancelled; on anything but a terminal, only say how to stop it."""
    if not show.console.is_terminal:
        show.plain("running until SIGINT or SIGTERM")
        await asyncio.Event().wait()
    now = state()
    with Live(console=show.console, auto_refresh=False, transient=True) as screen:
        async with AsyncMesh(now.url, now.token) as mesh:
            while True:
                screen.update(await _drawn(mesh, state()), refresh=True)
                await asyncio.sleep(PERIOD_S)


async def _drawn(mesh: AsyncMesh, state: State) -> RenderableType:
    try:
        found, used = await mesh.nodes(), await mesh.usage()
    except MeshError as error:
        return Group(Text(f"the cloud's gate does not answer: {error.error}"), _processes(state))
    rows = (nodes.row(node) for node in nodes.by_tier(found))
    table = show.made(nodes.COLUMNS, rows)
    return Group(table, Text(), Text(_usage(used)), _processes(state), Text("Ctrl-C stops it"))


def _usage(used: dict[str, Any]) -> str:
    """The cloud gate's own count, all tenants together."""
    tenants = used["tenants"].values()
    queries, met = (sum(one[name] for one in tenants) for name in ("queries", "met"))
    cost = sum(one["cost_usd"] for one in tenants)
    return f"at this gate: {queries} queries, {met} met, {cost:.3g} USD"


def _processes(state: State) -> Text:
    """Only what is not as it should be."""
    troubled = [
        f"{one.name} {one.state}, {one.restarts} restarts"
        for one in state.processes
        if one.restarts or one.state != "up"
    ]
    return Text("; ".join(troubled) or f"{len(state.processes)} processes run", style="dim")


def show_query(query: First) -> None:
    """Print what was asked; an image as characters."""
    for name, array in query.inputs.items():
        if array.ndim == 3:  # noqa: PLR2004  # a batch of one, height, width
            show.plain(picture(array[0]))
        else:
            show.plain(f"{name} {list(array.shape)}")


def picture(image: Array) -> str:
    """Pure. Return a grey image as characters, two a pixel."""
    top = float(image.max()) or 1.0
    return "\n".join(_line(row, top) for row in image.tolist())


def _line(row: Sequence[float], top: float) -> str:
    return "".join(SHADES[round(value / top * (len(SHADES) - 1))] * 2 for value in row)
