"""What runs under --dir, in one file; whether it still does, by a lock that death gives back."""

import fcntl
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cloud_core.issuer import write_secret
from cloud_core.up.layout import Layout
from protocol.errors import ConflictError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class GateState(_Part):
    """A way in."""

    site: str
    url: str


class RelayState(_Part):
    """A link that can be changed."""

    name: str
    control_url: str


class ProcessState(_Part):
    """A process of the mesh."""

    name: str
    pid: int | None
    tier: str | None
    """None for servers and relays: they are no nodes."""
    site: str | None
    state: str = "up"
    restarts: int = 0


class State(_Part):
    """The mesh as it runs: what `tiermesh up --detach --json` prints."""

    url: str
    token: str
    dir: str
    nats_url: str
    gates: tuple[GateState, ...]
    relays: tuple[RelayState, ...]
    processes: tuple[ProcessState, ...]
    supervisor: int
    """Process id of the `tiermesh up` that watches over the others."""
    phase: Literal["starting", "ready", "stopping"] = "starting"
    doing: str = ""
    """While starting: what is being waited for."""


def read(layout: Layout) -> State | None:
    """Return what the file says, true or stale."""
    try:
        return State.model_validate_json(layout.state.read_bytes())
    except (OSError, ValidationError):
        return None


def write(layout: Layout, state: State) -> None:
    """Keep it; readable by the owner alone, because it holds a token."""
    write_secret(layout.state, state.model_dump_json(indent=2) + "\n")


def running(layout: Layout) -> State | None:
    """Return the state of the mesh that runs under this folder, None when none does."""
    return read(layout) if held(layout) else None


def held(layout: Layout) -> bool:
    """Whether a supervisor lives: the kernel gives its lock back when it dies, however it does."""
    try:
        descriptor = os.open(layout.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def holding(layout: Layout) -> Iterator[State | None]:
    """Be the only supervisor of this folder until the block ends; yields what a dead one left."""
    layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            raise already(layout, read(layout))
        left = read(layout)
        layout.state.unlink(missing_ok=True)
        try:
            yield left
        finally:
            layout.state.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Take the lock; a look by `held` keeps it for a moment, so one refusal proves nothing."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def already(layout: Layout, state: State | None) -> ConflictError:
    """Return what a second `up` is told."""
    at = f" at {state.url}" if state else ""
    return ConflictError(
        f"a mesh is running in {layout.root}{at}",
        f"use it, or stop it: tiermesh down --dir {shlex.quote(str(layout.root))}",
    )
