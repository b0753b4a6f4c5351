"""Starting a mesh whose supervisor goes on when this command has ended."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cloud_core.issuer import write_secret
from cloud_core.up import state
from cloud_core.up.layout import Layout
from cloud_core.up.mesh import UpConfig
from cloud_core.up.state import State
from protocol.errors import MeshError

POLL_S = 0.05


def started(config: UpConfig, tell: Callable[[str], None]) -> State:
    """Return the state of the mesh once it answers; raise what its supervisor failed with."""
    layout = Layout(config.dir)
    if state.held(layout):
        raise state.already(layout, state.read(layout))
    write_secret(layout.config("up"), config.model_dump_json(indent=2) + "\n")
    log = layout.log("up")
    log.parent.mkdir(parents=True, exist_ok=True)
    supervisor = _spawned(layout, log)
    try:
        return _awaited(supervisor, layout, tell)
    except BaseException:
        supervisor.terminate()
        raise


def _awaited(
    supervisor: subprocess.Popen[bytes], layout: Layout, tell: Callable[[str], None]
) -> State:
    while supervisor.poll() is None:
        found = state.read(layout)
        if found is not None and found.supervisor == supervisor.pid:
            if found.phase == "ready":
                return found
            tell(found.doing)
        time.sleep(POLL_S)
    raise _failure(layout.log("up"))


def _spawned(layout: Layout, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cloud_core.up", "--config", str(layout.config("up"))]
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # our own interpreter, our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _failure(log: Path) -> MeshError:
    """Return the error that the supervisor's log ends with."""
    said = dict(
        line.split(": ", 1)
        for line in log.read_text(errors="replace").splitlines()[-6:]
        if line.startswith(("error: ", "hint: "))
    )
    error = said.get("error", "the mesh ended while it was starting")
    return MeshError(error, said.get("hint", f"see {log}"))
