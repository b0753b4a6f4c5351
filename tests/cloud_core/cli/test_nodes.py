"""`tiermesh nodes show`: what was predicted of a node's runs stands beside what came of it."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from cloud_core.cli.nodes import app
from protocol.adverts import NodeStatus, RunsSeen
from protocol.errors import UnknownError
from tests.middle_tier.fleet import a_node


class Gate(BaseHTTPRequestHandler):
    """Answers every request with the nodes and sites that its server was given."""

    def do_GET(self):
        body = json.dumps({"nodes": self.server.nodes, "sites": self.server.sites}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def gate(*statuses, sites=()):
    server = HTTPServer(("127.0.0.1", 0), Gate)
    server.sites = list(sites)
    server.nodes = [json.loads(status.model_dump_json()) for status in statuses]
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def a_status(*runs):
    return NodeStatus(advert=a_node("n-1"), health="alive", silent_s=0.5, runs=runs)


RUNS = RunsSeen(
    variant="mlp-int8", count=32, predicted_p50_ms=12.34, predicted_p99_ms=23.45,
    observed_p50_ms=11.11, observed_p99_ms=22.22, correction=1.25,
)  # fmt: skip


def shown(url):
    said = CliRunner().invoke(app, ["show", "n-1", "--url", url, "--token", "t"], obj=None)
    assert said.exit_code == 0, said.output
    return said.output


def test_what_was_predicted_stands_beside_what_was_observed():
    with gate(a_status(RUNS)) as url:
        lines = shown(url).splitlines()
    line = next(line for line in lines if line.startswith("mlp-int8")).split()
    assert line == ["mlp-int8", "32", "12.3", "11.1", "23.4", "22.2", "x1.25"]
    heading = lines[lines.index(next(x for x in lines if x.startswith("mlp-int8"))) - 1]
    assert heading.index("predicted p50") < heading.index("observed p50")


def test_a_node_that_has_answered_nothing_has_no_table_of_runs():
    with gate(a_status()) as url:
        assert "predicted" not in shown(url)


CUT = {"site": "far", "health": "gone", "silent_s": 61.2, "nodes": {"middle": 1, "edge": 2}}


def test_a_site_whose_nodes_cannot_be_seen_is_named():
    here = {"site": "site-1", "health": "alive", "silent_s": 0.0, "nodes": {"edge": 1}}
    empty = {"site": "new", "health": "alive", "silent_s": 0.0, "nodes": {}}
    with gate(a_status(), sites=[here, CUT, empty]) as url:
        said = CliRunner().invoke(app, ["list", "--url", url, "--token", "t"])
    assert "n-1" in said.stdout
    assert said.stderr == ("far is gone, unheard for 61 s: its 3 nodes cannot be seen from here\n")


def test_a_node_that_is_not_there_may_be_of_a_site_that_cannot_be_seen():
    with gate(a_status(), sites=[CUT]) as url, pytest.raises(UnknownError) as caught:
        CliRunner().invoke(
            app, ["drain", "edge-9", "--url", url, "--token", "t"], catch_exceptions=False
        )
    assert caught.value.hint.startswith("there are site-1/n-1; far is gone")
