"""Nobody waits for ever in front of a screen: a gate may hang."""

import socket

import pytest

from cloud_core.cli import reach, top
from cloud_core.cli.main import run
from cloud_core.cli.wants import patience_s
from middle_tier.client import DEFAULT_TIMEOUT_S


@pytest.fixture
def hung():
    """The URL of a gate that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    "command", ["nodes list", "sites list", "tasks list", "plan digits", "top"]
)
def test_a_gate_that_hangs_is_given_up(command, hung, monkeypatch, capsys):
    monkeypatch.setattr(reach.Where.mesh, "__defaults__", (0.05,))
    monkeypatch.setattr(top, "LOOK_S", 0.05)
    assert run([*command.split(), "--url", hung, "--token", "t"], {}) == 1
    assert f"error: {hung} does not answer" in capsys.readouterr().err


def test_an_answer_is_waited_for_as_long_as_it_may_come():
    assert patience_s({"timeout_ms": 60_000.0, "latency_ms": 1.0}) == 60 + reach.PATIENCE_S
    assert patience_s({"latency_ms": 60_000.0}) == 240 + reach.PATIENCE_S
    assert patience_s({"latency_ms": 20.0}) == 1 + reach.PATIENCE_S
    assert patience_s({}) == DEFAULT_TIMEOUT_S
