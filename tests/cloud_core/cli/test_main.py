"""The command without what its extra brings; its exit statuses; where it looks for a mesh."""

import io
import subprocess
import sys

import pytest

from cloud_core.cli.main import run
from cloud_core.cli.reach import Surroundings


def test_without_the_cloud_extra_it_prints_what_to_install():
    code = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "typer" else found(name)
from cloud_core import entry
entry.find_spec = importlib.util.find_spec
entry.main()
"""
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run_.returncode == 1
    assert "pip install 'tiermesh[cloud]'" in run_.stderr
    assert "Traceback" not in run_.stderr


@pytest.mark.parametrize(
    "command",
    ["up", "down", "ask", "plan", "serve", "doctor", "tasks list", "nodes drain", "sites show"],
)
def test_every_command_has_help_and_takes_json(command, capsys):
    assert run([*command.split(), "--help"], {}) == 0
    assert "--json" in capsys.readouterr().out


def test_misuse_is_2_and_one_line(capsys):
    assert run(["ask", "digits"], {}) == 2
    assert capsys.readouterr().err == "error: Missing option '--input'. (see --help)\n"


@pytest.mark.parametrize(
    ("option", "value", "range_"),
    [
        ("--latency-ms", "-1", "(0, 86400000]"),
        ("--percentile", "100", "(0, 100)"),
        ("--min-accuracy", "nan", "[0, 1]"),
        ("--max-cost", "inf", "[0, 1000000000]"),
    ],
)
def test_a_want_out_of_its_range_is_misuse(option, value, range_, capsys):
    assert run(["plan", "digits", option, value], {}) == 2
    said = capsys.readouterr().err
    assert option in said
    assert range_ in said
    assert len(said.splitlines()) == 1


def test_a_failure_is_1_with_a_hint_and_json_where_asked_for(tmp_path, capsys):
    assert run(["nodes", "list", "--dir", str(tmp_path), "--json"], {}) == 1
    said = capsys.readouterr()
    assert '"reason": "unreachable"' in said.out
    assert said.err.startswith("error: no mesh is running")
    assert "hint: start one with `tiermesh up`" in said.err


def test_what_the_disk_refuses_is_told_on_one_line(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("in the way")
    assert run(["up", "--dir", str(file), "--json"], {}) == 1
    assert capsys.readouterr().err.splitlines()[0] == f"error: {file}: File exists"


def test_the_environment_says_where_the_mesh_is(capsys, free_port):
    url = f"http://127.0.0.1:{free_port}"
    assert run(["nodes", "list"], {"TIERMESH_URL": url, "TIERMESH_TOKEN": "t"}) == 1
    assert url in capsys.readouterr().err


def test_it_reads_two_names_of_the_environment():
    around = Surroundings.read({"TIERMESH_URL": "u", "TIERMESH_TOKEN": "t", "HOME": "/"})
    assert (around.url, around.token) == ("u", "t")


@pytest.mark.parametrize(
    "line", ["nodes list --ca", "nodes list --ca=", "nodes --ca --json list", "--ca"]
)
def test_an_authority_without_its_file_is_misuse(line, capsys):
    assert run(line.split(), {}) == 2
    assert capsys.readouterr().err.startswith("error: Invalid value for '--ca': give the file")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("policy check nowhere.yaml", "nowhere.yaml"),
        ("simulate nowhere.yaml", "nowhere.yaml"),
        ("simulate / --report r.html", "'/' is a directory"),
        (f"simulate {__file__} --report nowhere/r.html", "there is no folder"),
        ("up --bundles nowhere", "nowhere"),
        ("ask digits --input nowhere", "nowhere"),
        ("ask digits --input /", "'/' is a directory"),
        ("ask digits --input - --timeout-ms -4", "-4: give a number of ms above 0"),
        (f"serve {__file__} --name Not-One", "'Not-One' cannot name a task"),
        ("tenants add Not-One", "'Not-One' cannot name a tenant"),
        ("tenants add acme --tier egde", "'egde' is none of edge, middle, cloud"),
        ("tokens issue acme --scope rule", "'--scope'"),
        ("keys restore f --passphrase-file nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_meant_is_misuse(line, named, capsys):
    assert run(line.split(), {}) == 2
    assert named in capsys.readouterr().err


def test_a_dash_is_standard_input(tmp_path, capsys):
    assert run(["ask", "digits", "--input", "-", "--dir", str(tmp_path)], {}) == 1
    assert "no mesh is running" in capsys.readouterr().err


def test_without_a_terminal_no_passphrase_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run(["keys", "backup", str(tmp_path / "k"), "--dir", str(tmp_path)], {}) == 2
    assert "--passphrase-file" in capsys.readouterr().err


def test_ctrl_c_while_it_imports_leaves_no_trace():
    code = """
from cloud_core import entry
def import_module(name):
    raise KeyboardInterrupt
entry.import_module = import_module
entry.main()
"""
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run_.returncode, run_.stderr) == (130, "")


def test_in_a_folder_of_init_nobody_is_sent_to_up(tmp_path, capsys):
    assert run(["init", str(tmp_path), "--hub", "hub.example.org", "--site", "far=far"], {}) == 0
    for folder in (tmp_path, tmp_path / "hub", tmp_path / "far", tmp_path / "device"):
        capsys.readouterr()
        assert run(["doctor", "--dir", str(folder)], {}) in (0, 1)
        assert run(["nodes", "list", "--dir", str(folder)], {}) == 1
        said = capsys.readouterr()
        assert "tiermesh up" not in said.out + said.err
        assert "--url https://HOST:8080" in said.err


def test_what_looks_like_markup_is_printed_as_it_is(tmp_path, capsys):
    file = tmp_path / "[red]odd[" / ".yaml"
    file.parent.mkdir()
    file.write_text("headroom: 0.8")
    assert run(["policy", "check", str(file)], {}) == 0
    assert capsys.readouterr().out == f"{file}: good\n"
