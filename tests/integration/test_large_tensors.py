"""Tensors above what one NATS message carries, through gate, NATS server and agent, and back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from middle_tier.client import Mesh
from protocol.errors import TooLargeError
from protocol.parcels import MAX_TENSOR_BYTES

pytestmark = pytest.mark.mesh

MODEL = Path(__file__).parents[1] / "data" / "twice.onnx"
MIB = 1 << 20


@pytest.fixture(scope="module")
def twice(tmp_path_factory) -> Iterator[Mesh]:
    """A gate and an agent with a NATS server between them, that double what they get."""
    folder = tmp_path_factory.mktemp("twice")
    command = [Path(sys.executable).with_name("tiermesh"), "serve", MODEL, "--nats", "--no-auth"]
    command += ["--port", "0", "--dir", folder, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            said = ""
            while not said.endswith("}\n") or not is_json(said):
                said += serving.stdout.readline()
            keep_apart(serving.pid)
            with Mesh(json.loads(said)["url"], timeout_s=60) as mesh:
                yield mesh
        finally:
            serving.send_signal(signal.SIGINT)
    assert serving.returncode == 0


def keep_apart(gate: int) -> None:
    """Gate and NATS server share no core, where there are two."""
    children = psutil.Process(gate).children()
    (server,) = (child.pid for child in children if child.name() == "nats-server")
    shared = os.sched_getaffinity(gate) & os.sched_getaffinity(server)
    assert not shared or len(os.sched_getaffinity(0)) == 1


def is_json(said: str) -> bool:
    try:
        json.loads(said)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("mebibytes", [1, 7.9, 8, 12, 40, 63])
def test_a_tensor_of_any_size_that_a_gate_takes_comes_back_doubled(twice, mebibytes):
    values = np.arange(int(mebibytes * MIB) // 4, dtype=np.float32).reshape(1, -1)
    answer = twice.ask("twice", {"x": values}, latency_ms=20_000)
    assert np.array_equal(answer.outputs["y"], 2 * values)


def test_several_large_ones_one_after_the_other_leave_nothing_behind(twice):
    values = np.ones((1, 3 * MIB), np.float32)
    for _ in range(25):  # more than may be kept at once
        assert twice.ask("twice", {"x": values}, latency_ms=20_000).outputs["y"][0, -1] == 2.0


def test_more_than_a_gate_takes_is_too_large(twice):
    values = np.zeros((1, MAX_TENSOR_BYTES // 4 + 1), np.float32)
    with pytest.raises(TooLargeError):
        twice.ask("twice", {"x": values}, latency_ms=20_000)
