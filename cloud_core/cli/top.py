"""`tiermesh top`: the mesh as it is now: tiers, nodes, load, attainment, cost, last decisions.

What is shown is worked out in `topped`, purely; here it is fetched, again and again.
"""

import asyncio
import time
from collections import deque
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from cloud_core.cli import show, topped
from cloud_core.cli.drawn import drawn
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, Where, gates, where
from middle_tier.client import AsyncMesh
from protocol.errors import MeshError

LOOK_S = 5.0
"""So long a gate has to answer."""

WINDOW_S = 10.0
"""What the figures of the live view are of."""


def top(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Watch the mesh: tiers, nodes, load, attainment, cost, the last decisions. Ctrl-C ends it.

    Figures are of the last ten seconds; with --once or --json, of the time since the gates
    started. Gates are those of the mesh in --dir, or the one of --url.
    """
    place = where(context, url, token, folder)
    others = gates(place, folder, url)
    if as_json or once or not show.console.is_terminal:
        found = topped.summed(asyncio.run(_once(place, others)), None)
        if as_json:
            show.as_json(found)
        else:
            show.console.print(drawn(found, width=show.console.width))
        return
    asyncio.run(_watch(place, others, every))


async def _once(place: Where, others: list[Where]) -> topped.Seen:
    async with place.later(LOOK_S) as mesh:
        return await _seen(mesh, [one.later(LOOK_S) for one in others])


async def _watch(place: Where, others: list[Where], every: float) -> None:
    looks: deque[topped.Seen] = deque(maxlen=max(2, round(WINDOW_S / every)))
    with Live(console=show.console, auto_refresh=False, screen=True) as screen:
        async with place.later(LOOK_S) as mesh:
            while True:
                try:
                    now = await _seen(mesh, [one.later(LOOK_S) for one in others])
                    before = looks[0] if looks else None
                    width, height = show.console.size
                    found = topped.summed(now, before)
                    screen.update(drawn(found, width=width, height=height), refresh=True)
                    looks.append(now)
                except MeshError as error:
                    said = f"{place.url} does not answer: {error.error}"
                    screen.update(Text(said), refresh=True)
                await asyncio.sleep(every)


async def _seen(mesh: AsyncMesh, others: list[AsyncMesh]) -> topped.Seen:
    """Ask all gates; one that does not answer is named, and left out."""
    nodes, policy, own = await asyncio.gather(mesh.nodes(), mesh.policy(), mesh.now())
    found = await asyncio.gather(*(_other(one) for one in others))
    gates = [own, *(one for one in found if isinstance(one, dict))]
    silent = tuple(one for one in found if isinstance(one, str))
    return topped.Seen(time.time(), nodes, policy, gates, silent)


async def _other(mesh: AsyncMesh) -> dict[str, Any] | str:
    try:
        async with mesh:
            return await mesh.now()
    except MeshError:
        return mesh.url
