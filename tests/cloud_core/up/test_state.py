"""What runs is known by a lock that death gives back, not by a file that may be stale."""

import os
import signal
import subprocess
import sys

import pytest

from cloud_core.up import state
from cloud_core.up.layout import Layout
from cloud_core.up.state import ProcessState, State
from protocol.errors import ConflictError


def a_state(**changes: object) -> State:
    fields = {
        "url": "http://127.0.0.1:8080", "token": "t", "dir": "/d", "nats_url": "nats://127.0.0.1:1",
        "gates": (), "relays": (), "processes": (), "supervisor": os.getpid(),
    }  # fmt: skip
    return State.model_validate({**fields, **changes})


def test_nothing_runs_in_an_empty_folder(tmp_path):
    layout = Layout(tmp_path / "none")
    assert state.running(layout) is None
    assert not layout.root.exists()


def test_it_runs_while_its_lock_is_held(tmp_path):
    layout = Layout(tmp_path)
    with state.holding(layout) as left:
        assert left is None
        state.write(layout, a_state(phase="ready"))
        assert state.running(layout).phase == "ready"
    assert state.running(layout) is None
    assert not layout.state.exists()


def test_a_second_one_is_told_where_the_first_is(tmp_path):
    layout = Layout(tmp_path)
    with state.holding(layout):
        state.write(layout, a_state())
        told = pytest.raises(ConflictError, match=r"is running in .* at http://127\.0\.0\.1:8080")
        with told, state.holding(layout):
            pass


def test_the_state_that_a_killed_one_left_is_handed_over_and_cleared(tmp_path):
    layout = Layout(tmp_path)
    code = f"""
from pathlib import Path
from cloud_core.up import state
from cloud_core.up.layout import Layout
from tests.cloud_core.up.test_state import a_state
layout = Layout(Path({str(tmp_path)!r}))
with state.holding(layout):
    state.write(layout, a_state(processes=[dict(name="p", pid=1, tier=None, site=None)]))
    print("held", flush=True)
    input()
"""
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as killed:
        assert killed.stdout.readline() == "held\n"
        assert state.running(layout) is not None
        os.kill(killed.pid, signal.SIGKILL)
    assert state.running(layout) is None
    with state.holding(layout) as left:
        assert left.processes == (ProcessState(name="p", pid=1, tier=None, site=None),)
        assert state.read(layout) is None
