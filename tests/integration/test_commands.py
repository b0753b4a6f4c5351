"""`up`, `down`, `doctor` and the rest as a user meets them."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import eventually, tiermesh

pytestmark = pytest.mark.mesh

DEMO = Path(__file__).parents[2] / "deploy" / "demo"


def test_up_prints_one_object_that_says_where_everything_is(running):
    document = running.document
    expected = {"url", "token", "dir", "nats_url", "gates", "relays", "processes"}
    assert set(document) == expected
    assert [gate["site"] for gate in document["gates"]] == ["cloud", "site-1"]
    assert document["url"] == document["gates"][0]["url"]
    assert [relay["name"] for relay in document["relays"]] == ["edge-middle", "middle-cloud"]
    names = ["nats-hub", "nats-site", "relay", "cloud", "site-1", "edge-1", "edge-2"]
    assert [process["name"] for process in document["processes"]] == names
    nodes = {p["name"]: p["tier"] for p in document["processes"] if p["tier"]}
    assert nodes == {"cloud": "cloud", "site-1": "middle", "edge-1": "edge", "edge-2": "edge"}


def test_a_second_up_says_that_it_is_running(running):
    run = tiermesh("up", "--dir", running.dir, "--detach")
    assert run.returncode == 1
    assert f"is running in {running.dir} at {running.gate()}" in run.stderr


def test_its_secrets_are_its_owners_alone(running):
    secret = [running.dir / "state.json", *(running.dir / "tokens").iterdir()]
    secret += [*(running.dir / "keys").iterdir(), *(running.dir / "config").iterdir()]
    assert not [path for path in secret if path.stat().st_mode & 0o077]


def test_the_lists(running):
    nodes = json.loads(tiermesh("nodes", "list", "--dir", running.dir, "--json").stdout)
    names = {node["advert"]["node"] for node in nodes["nodes"]}
    assert names == {"cloud-1", "middle-1", "edge-1", "edge-2"}
    tasks = json.loads(tiermesh("tasks", "list", "--dir", running.dir, "--json").stdout)
    assert [task["name"] for task in tasks["tasks"]] == ["digits"]
    sites = json.loads(tiermesh("sites", "list", "--dir", running.dir, "--json").stdout)
    assert "site-1" in {site["site"] for site in sites["sites"]}
    shown = tiermesh("tasks", "show", "digits", "--dir", running.dir)
    assert all(one["variant"] in shown.stdout for one in tasks["tasks"][0]["variants"])


def test_plan_says_why_each_other_one_is_out(running):
    run = tiermesh("plan", "digits", "--min-accuracy", 0.95, "--dir", running.dir)
    assert run.returncode == 0, run.stderr
    assert "accuracy below" in run.stdout


def test_draining_a_node_takes_it_out_and_resuming_brings_it_back(running):
    for verb, state in (("drain", "draining"), ("resume", "ready")):
        assert tiermesh("nodes", verb, "edge-2", "--dir", running.dir).returncode == 0

        def is_so(state=state) -> bool:
            with running.mesh("site-1") as mesh:
                adverts = [node["advert"] for node in mesh.nodes()]
            return any(a["node"] == "edge-2" and a["state"] == state for a in adverts)

        eventually(is_so, f"edge-2 is {state}")


def test_doctor_finds_a_running_mesh_in_order(running):
    port = running.gate().rsplit(":", 1)[1]
    run = tiermesh("doctor", "--dir", running.dir, "--port", port, "--json")
    assert run.returncode == 0, run.stdout
    checks = json.loads(run.stdout)["checks"]
    assert {
        "port",
        "nats",
        "runtime",
        "bundles",
        "signed",
        "identity",
        "clock",
        "disk",
        "mesh",
    } == {check["what"] for check in checks}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["ask", "digits", "--input", "nowhere.npy"], "nowhere.npy"),
        (["ask", "digits", "--inpt", "x"], "--inpt"),
        (["up", "--edges", "0"], "--edges"),
        (["serve", "nowhere.onnx"], "nowhere.onnx"),
        (["dance"], "dance"),
        (["plan"], "task"),
    ],
)
def test_misuse_is_2_and_one_clear_line(arguments, named):
    run = tiermesh(*arguments)
    assert run.returncode == 2
    assert named in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_where_nothing_runs_the_commands_say_so(tmp_path):
    for arguments in (["ask", "digits", "--input", __file__], ["nodes", "list"]):
        run = tiermesh(*arguments, "--dir", tmp_path)
        assert run.returncode == 1
        assert "tiermesh up" in run.stderr
    assert tiermesh("down", "--dir", tmp_path).returncode == 0


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = tiermesh("up", "--dir", tmp_path, "--port", port, "--detach", "--json")
    assert run.returncode == 1
    assert f"port {port} is taken" in json.loads(run.stdout)["error"]


@pytest.mark.parametrize("way", [[], ["--nats"]], ids=["alone", "nats"])
def test_serve_answers_the_curl_line_that_it_prints(tmp_path, way):
    """And `up`'s own curl line is made by the same function."""
    command = [Path(sys.executable).with_name("tiermesh"), "serve"]
    command += [DEMO / "digits-mlp-tiny" / "mlp-tiny.onnx-fp32.onnx", "--name", "tiny"]
    command += ["--port", "0", "--dir", tmp_path, *way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            line = next(one for one in serving.stdout if one.startswith("curl "))
            run = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
            answer = json.loads(run.stdout)
            assert answer["model_name"] == "tiny"
            assert answer["parameters"]["met"] is True
        finally:
            serving.send_signal(signal.SIGINT)
        serving.stdout.read()
    assert serving.returncode == 0


def test_a_bare_file_that_is_no_model_is_an_error(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"not a model")
    run = tiermesh("serve", tmp_path / "no.onnx", "--dir", tmp_path, "--port", 0)
    assert run.returncode == 1
    assert "no.onnx" in run.stderr


def test_up_on_a_terminal_answers_and_ctrl_c_stops_every_process(tmp_path):
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("tiermesh"), "up", "--dir", tmp_path, "--port", "0"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as up:
        os.close(theirs)
        said = ""
        while "Ctrl-C" not in said:
            said += os.read(ours, 65536).decode(errors="replace")
        children = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(signal.SIGINT)
        while True:
            try:
                if not os.read(ours, 65536):
                    break
            except OSError:  # a terminal's way to say that nobody writes any more
                break
    os.close(ours)
    assert up.returncode == 0
    assert "class 7" in said
    assert len(children) == 7
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not (tmp_path / "state.json").exists()


def test_a_killed_up_takes_its_children_along_and_the_next_one_clears_up(tmp_path):
    run = tiermesh("up", "--dir", tmp_path, "--port", 0, "--detach", "--json")
    document = json.loads(run.stdout)
    children = [psutil.Process(process["pid"]) for process in document["processes"]]
    state = json.loads((tmp_path / "state.json").read_text())
    os.kill(state["supervisor"], signal.SIGKILL)
    assert not psutil.wait_procs(children, timeout=10)[1]
    again = tiermesh("up", "--dir", tmp_path, "--port", 0, "--detach", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["token"] == document["token"]
    assert tiermesh("down", "--dir", tmp_path).returncode == 0
