"""Starts the builder in its own environment and passes on its events. Imports nothing of it.

The builder needs old typing-extensions, torch and much else that a mesh does not: hence a process.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from protocol.errors import ExecutionError, MeshError, UnknownError

ROOT = Path(__file__).parents[2]
"""Where the packages are."""

INSTALL = (
    "python3.11 -m venv .venv-build && .venv-build/bin/pip install 'tiermesh[build]' "
    "(in a checkout: -e '.[build]')"
)

_PLACE = Path("bin/python")
_SHOWN_LINES = 3

Event = dict[str, Any]
"""``event`` says what happened; the rest are its fields, as JSON has them."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to build, with what."""

    source: str
    out: Path
    python: Path
    tflite_python: Path | None = None


def interpreter(given: Path | None, cwd: Path) -> Path:
    """Return the builder's interpreter: the one given, or that of ``.venv-build``.

    Raises `UnknownError` with how to make one.
    """
    found = environment(".venv-build", cwd) if given is None else given
    if found is None or not found.is_file():
        where = given or cwd / ".venv-build" / _PLACE
        raise UnknownError(
            f"no builder's environment: there is no {where}",
            f"{INSTALL}; or name its interpreter with --python or TIERMESH_BUILD_PYTHON",
        )
    return found


def environment(name: str, cwd: Path) -> Path | None:
    """Return the interpreter of an environment here, or beside the packages, if there is one."""
    places = (root / name / _PLACE for root in (cwd, ROOT))
    return next((place for place in places if place.is_file()), None)


def events(job: Job) -> Iterator[Event]:
    """Yield the builder's events as they come; the last is ``done``.

    Raises the builder's own error, or `ExecutionError` when it dies. It ends when the caller stops
    listening.
    """
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(  # noqa: S603  an interpreter that the operator named
            _command(job),
            stdout=subprocess.PIPE, stderr=log, text=True,
            env=surroundings(),
        ) as process,
    ):  # fmt: skip
        try:
            last: Event = {}
            for line in process.stdout or ():
                last = json.loads(line)
                if last["event"] == "error":
                    raise MeshError(last["error"], last["hint"])
                yield last
            if last.get("event") != "done":
                raise ExecutionError(f"the builder died: {_tail(log)}", INSTALL)
        finally:
            process.terminate()


def surroundings() -> dict[str, str]:
    """The environment of a process that runs this code with another interpreter.

    From a checkout, that interpreter need not have tiermesh installed. Otherwise it must: beside
    our packages there are others, which are not for it.
    """
    checkout = (ROOT / "pyproject.toml").is_file()
    return {**os.environ, **({"PYTHONPATH": str(ROOT)} if checkout else {})}


def _command(job: Job) -> list[str]:
    command = [str(job.python), "-m", "cloud_core.builder", job.source]
    command += ["--out", str(job.out)]
    if job.tflite_python is not None:
        command += ["--tflite-python", str(job.tflite_python)]
    return command


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return " / ".join(line.strip() for line in log.readlines()[-_SHOWN_LINES:])
