"""`tiermesh-site` and `tiermesh-cloud` as processes: misuse is one line, SIGTERM ends them."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

COMMANDS = {"tiermesh-site": "middle_tier", "tiermesh-cloud": "cloud_core"}


def started(module, *args):
    command = [sys.executable, "-m", module, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(params=COMMANDS)
def program(request):
    return request.param


def test_help_is_given(program):
    done = started(COMMANDS[program], "--help")
    assert (done.returncode, program in done.stdout) == (0, True)


def test_without_a_configuration_it_is_misused(program):
    done = started(COMMANDS[program])
    assert done.returncode == 2
    assert "--config" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("{", "line 1"),
        ('{"site": "s", "no_auth": true, "hots": 1}', "hots: no such field"),
        ('{"site": "s"}', "a gate needs keys"),
        ('{"site": "S!", "no_auth": true}', "site"),
    ],
)
def test_a_configuration_that_will_not_do_is_said_in_one_line(program, tmp_path, text, says):
    path = tmp_path / "site.json"
    if text is not None:
        path.write_text(text)
    done = started(COMMANDS[program], "--config", str(path))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_key_file_that_is_missing_fails_in_one_line(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('site = "s"\nkeys = "nowhere.json"\n')
    done = started("middle_tier", "--config", str(path), "--log-level", "error")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "nowhere.json" in done.stderr


def test_it_says_when_it_is_ready_and_ends_on_sigterm(program, tmp_path, nats_url):
    path = tmp_path / "site.json"
    config = {"site": "process", "nats_url": nats_url, "no_auth": True, "port": 0}
    path.write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", COMMANDS[program], "--config", str(path)],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    try:
        url = next(
            found[1] for line in process.stderr if (found := re.search(r"ready at (http\S+)", line))
        )
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:  # noqa: S310  # ours
            assert response.status == 200
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=30)[1]
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
    finally:
        process.kill()
        process.wait()


def test_sigterm_ends_the_wait_for_a_server_that_is_not_there(tmp_path, free_port):
    path = tmp_path / "site.json"
    config = {"site": "s", "nats_url": f"nats://127.0.0.1:{free_port}", "no_auth": True, "port": 0}
    path.write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "middle_tier", "--config", str(path)],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    try:
        next(line for line in process.stderr if "NATS at" in line)
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=30)[1]
        assert (process.returncode, "Traceback" in rest) == (0, False)
    finally:
        process.kill()
        process.wait()
