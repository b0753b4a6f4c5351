"""Takes every numbered check out, one at a time, in a copy of the source, and expects a red test.

``python -m tests.attacks.break_checks [WORD ...]``: only those whose file or test has one of these
words. Exits 1 when some check can be taken out without anybody noticing. What to break stands in
`mutations`: other modules of tests add rows to that table.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.attacks import mutations
from tests.attacks.mutations import Mutation
from tests.attacks.mutations_gates import GATES
from tests.attacks.mutations_identity import IDENTITY
from tests.attacks.mutations_native import NATIVE

MUTATIONS = (*mutations.MUTATIONS, *IDENTITY, *NATIVE, *GATES)

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


def broken(copy: Path, mutation: Mutation) -> str:
    """Break it, run its test, mend it; return why this is not as it should be, or nothing."""
    path = copy / mutation.file
    whole = path.read_text()
    if whole.count(mutation.text) != 1:
        return f"the text stands {whole.count(mutation.text)} times in {mutation.file}"
    path.write_text(whole.replace(mutation.text, mutation.instead))
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test],
            cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    finally:
        path.write_text(whole)
    if run.returncode == 1:
        return ""
    return "no test noticed" if run.returncode == 0 else f"pytest ended with {run.returncode}"


def main(words: list[str]) -> int:
    chosen = [one for one in MUTATIONS if not words or any(w in one.file + one.test for w in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        for one in chosen:
            why = broken(copy, one)
            missed += bool(why)
            sys.stdout.write(f"{'MISSED' if why else 'red'}  {one.name}{why and ': '}{why}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - missed} of {len(chosen)} were noticed\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
