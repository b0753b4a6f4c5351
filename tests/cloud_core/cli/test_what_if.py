"""A policy's effects on given traffic, before anybody applies it."""

import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from cloud_core.cli.policy import effects
from cloud_core.cli.reach import Where
from cloud_core.cli.what_if import compared, lately, shown
from middle_tier.scheduler.types import Policy
from tests.cloud_core.simulator.scenes import write
from tests.cloud_core.simulator.test_lately import a_gate


def test_both_policies_are_simulated_over_the_same_traffic(tmp_path):
    path = write(tmp_path)
    cloudy = Policy(tiers=("cloud",), on_miss="fastest")
    found = compared(path, Policy(on_miss="fastest"), cloudy)
    assert found["now"]["queries"] == found["then"]["queries"] > 0
    assert found["then"]["tier_share"].get("edge", 0) == 0
    assert found["now"]["tier_share"].get("edge", 0) > 0


def test_recent_traffic_is_replayed_and_what_no_replay_can_show_is_said(capsys):
    default = [{"task": "*", "latency_ms": 100}]
    then = Policy.model_validate({"tiers": ["cloud"], "wants": default, "escalate": {"share": 0.1}})
    found = lately([a_gate()], Policy(), then)
    assert (found["now"]["tier_share"]["edge"], found["then"]["tier_share"]["cloud"]) == (1.0, 1.0)
    assert (found["queries"], found["unseen"]) == (100, ["wants"])
    assert found["assumed"] == ["escalate"]
    shown({**found, "silent": ["http://127.0.0.1:9"]})
    out, aside = capsys.readouterr()
    assert "http://127.0.0.1:9 is silent" in aside
    assert "100 queries in 10.9 s" in out
    assert "wants: not simulated" in aside
    assert "as sure as their variants are accurate" in " ".join(aside.split())


class Answering(BaseHTTPRequestHandler):
    """A gate, as far as its traffic goes."""

    def do_GET(self):  # the library's name
        body = a_gate().model_dump_json().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


def test_a_silent_gate_is_named_and_the_others_are_replayed_without_it():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server, a_dead_port() as dead:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            here = Where(f"http://127.0.0.1:{server.server_port}", None, None)
            found = effects(here, [Where(dead, None, None)], None, [Policy(), Policy()])
        finally:
            server.shutdown()
            thread.join()
    assert (found["queries"], found["silent"]) == (100, [dead])


@contextmanager
def a_dead_port():
    """Bound and not listening: whoever connects is refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
