"""One check taken out in a copy of the source, and what its test says of it. Chooses nothing."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from tests.attacks.mutations import Mutation

ROOT = Path(__file__).parents[2]
COPIED = (
    "protocol",
    "edge_agent",
    "middle_tier",
    "cloud_core",
    "tests",
    "deploy",
    "pyproject.toml",
)
TIMEOUT_S = 300.0
"""Of one run of a test: what hangs without its check is noticed, too."""

Verdict = Literal["red", "MISSED", "STALE", "BROKEN"]
"""As it should be; no test noticed; the row fits the source no more; the test is red anyway."""


class Found(NamedTuple):
    """What became of a row."""

    verdict: Verdict
    why: str = ""


def key(mutation: Mutation) -> str:
    """Of a row and of what it is tried on: another source, another test, another key.

    Empty for a row that cannot be tried: it is, each time, and says so.
    """
    if stale(ROOT, mutation):
        return ""
    said = hashlib.sha256(repr(mutation).encode())
    for path in (ROOT / mutation.file, ROOT / mutation.test.partition("::")[0]):
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        for file in files:
            said.update(file.read_bytes())
    return said.hexdigest()[:32]


def stale(root: Path, mutation: Mutation) -> str:
    """Why the row cannot be tried on what is there; empty: it can."""
    path, test = root / mutation.file, root / mutation.test.partition("::")[0]
    if not path.exists():
        return f"there is no {mutation.file}"
    if not test.exists():
        return f"there is no {mutation.test}"
    whole = path.read_text()
    if whole.count(mutation.text) != 1:
        return f"the text stands {whole.count(mutation.text)} times in {mutation.file}"
    try:
        compile(whole.replace(mutation.text, mutation.instead), mutation.file, "exec")
    except SyntaxError as error:
        return f"what it makes of {mutation.file} is no Python: {error.msg} in line {error.lineno}"
    return ""


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """A copy of the source, to break."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    yield folder


def broken(copy: Path, mutation: Mutation) -> Found:
    """Break it, run its test, mend it."""
    path = copy / mutation.file
    whole = path.read_text()
    path.write_text(whole.replace(mutation.text, mutation.instead))
    try:
        ended = tested(copy, mutation.test)
    finally:
        path.write_text(whole)
    match ended:
        case 0:
            return Found("MISSED", "no test noticed")
        case 1:
            return Found("red")
        case None:
            return Found("red", "it hung")
    return Found("MISSED", f"pytest ended with {ended}")


def tested(copy: Path, test: str) -> int | None:
    """Run a test there; return what pytest ended with, None when it did not end in time.

    Nobody reads why it failed; to work that out, pytest itself failed where a recursion had ended.
    """
    quietly = ("-q", "-x", "-p", "no:cacheprovider", "--tb=no", "--assert=plain")
    command = [sys.executable, "-m", "pytest", *quietly, test]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.Popen(
        command, cwd=copy, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return run.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)  # with the servers that it has started
        run.wait()
        return None
    except BaseException:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        raise
