"""Starting the builder's process, and what is said when that is not possible."""

import pytest

from cloud_core.builder import process
from protocol.errors import ExecutionError, UnknownError


@pytest.fixture
def job(tmp_path):
    """A job whose 'interpreter' is a shell script: `job(lines)`."""

    def made(*lines):
        path = tmp_path / "python"
        path.write_text("\n".join(("#!/bin/sh", *lines)))
        path.chmod(0o755)
        return process.Job(source="digits", out=tmp_path / "out", python=path)

    return made


def test_without_an_environment_the_error_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "ROOT", tmp_path)
    with pytest.raises(UnknownError) as caught:
        process.interpreter(None, tmp_path)
    assert "tiermesh[build]" in caught.value.hint
    assert "--python" in caught.value.hint


def test_the_environment_here_is_found(tmp_path):
    python = tmp_path / ".venv-build" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert process.interpreter(None, tmp_path) == python


def test_a_checkout_brings_its_packages_and_an_installation_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "theirs")
    assert process.surroundings()["PYTHONPATH"] == str(process.ROOT)
    monkeypatch.setattr(process, "ROOT", tmp_path)
    assert process.surroundings()["PYTHONPATH"] == "theirs"


def test_events_are_passed_on_until_done(job):
    done = """echo '{"event": "built"}'; echo '{"event": "done"}'"""
    assert [event["event"] for event in process.events(job(done))] == ["built", "done"]


def test_a_builder_that_dies_is_an_error_with_its_last_words(job):
    dying = job("""echo '{"event": "built"}'""", "echo no module named torch >&2", "exit 1")
    with pytest.raises(ExecutionError, match="no module named torch"):
        list(process.events(dying))


def test_the_builders_own_error_is_raised_here(job):
    refused = job("""echo '{"event": "error", "error": "not a recipe", "hint": "see README"}'""")
    with pytest.raises(Exception, match="not a recipe") as caught:
        list(process.events(refused))
    assert caught.value.hint == "see README"


def test_who_stops_listening_stops_the_builder(job):
    endless = job("""echo '{"event": "building"}'""", "exec sleep 600")
    events = process.events(endless)
    assert next(events)["event"] == "building"
    events.close()  # waits for the process, which would sleep on
