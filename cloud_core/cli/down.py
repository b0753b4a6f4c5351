"""`tiermesh down`: stops the mesh that a detached (or another terminal's) `up` watches over."""

import os
import signal
import time

from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.up.layout import Layout
from cloud_core.up.state import held, read
from protocol.errors import MeshError

PATIENCE_S = 60.0


def down(folder: Dir = HOME, *, as_json: Json = False) -> None:
    """Stop the mesh that runs under --dir. Nothing running is no failure."""
    place = layout(folder)
    state = read(place)
    if not held(place) or state is None:
        _say(f"nothing is running in {place.root}", as_json=as_json, stopped=False)
        return
    os.kill(state.supervisor, signal.SIGTERM)
    with show.aside.status("stopping, agents first"):
        _wait(place, state.supervisor)
    _say(f"stopped the mesh in {place.root}", as_json=as_json, stopped=True)


def _wait(place: Layout, supervisor: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while held(place):
        if time.monotonic() > end:
            raise MeshError(
                f"it has not stopped in {PATIENCE_S:g} s", f"end it: kill -9 {supervisor}"
            )
        time.sleep(0.05)


def _say(words: str, *, as_json: bool, stopped: bool) -> None:
    if as_json:
        show.as_json({"stopped": stopped})
    else:
        show.plain(words)
