"""`tiermesh nodes show`: what was predicted of a node's runs stands beside what came of it."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from typer.testing import CliRunner

from cloud_core.cli.nodes import app
from protocol.adverts import NodeStatus, RunsSeen
from tests.middle_tier.fleet import a_node


class Gate(BaseHTTPRequestHandler):
    """Answers every request with the nodes that its server was given."""

    def do_GET(self):
        body = json.dumps({"nodes": self.server.nodes}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def gate(*statuses):
    server = HTTPServer(("127.0.0.1", 0), Gate)
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
