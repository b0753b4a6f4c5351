"""Takes every numbered check out, one at a time, in copies of the source; expects a red test each.

``python -m tests.attacks.break_checks [--only PATTERN] [--jobs N] [--state FILE] [--list]``

Exits 1 when some check can be taken out without anybody noticing, when a row fits the source no
more, or when a test is red without anything being taken out. With `--state` a run that was
interrupted goes on where it was: what was red is not tried again while neither row, source nor
test changes. What to break stands in `mutations` and its neighbours.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from tests.attacks import mutations
from tests.attacks.breaking import Found, broken, copied, key, stale, tested
from tests.attacks.mutations import Mutation
from tests.attacks.mutations_audit import AUDIT
from tests.attacks.mutations_gates import GATES
from tests.attacks.mutations_identity import IDENTITY
from tests.attacks.mutations_native import NATIVE
from tests.attacks.mutations_shares import SHARED

MUTATIONS = (*mutations.MUTATIONS, *IDENTITY, *NATIVE, *GATES, *AUDIT, *SHARED)


class Copies:
    """Copies of the source, one to each job; and which tests are green when nothing is broken."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for folder in folders:
            self._free.put(folder)
        self._green: dict[str, bool] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def tried(self, mutation: Mutation) -> Found:
        """Try a row in the next copy that is free."""
        folder = self._free.get()
        try:
            if why := stale(folder, mutation):  # not of the tree, which may be worked on meanwhile
                return Found("STALE", why)
            if not self._is_green(folder, mutation.test):
                return Found("BROKEN", f"{mutation.test} is red with every check in its place")
            return broken(folder, mutation)
        finally:
            self._free.put(folder)

    def _is_green(self, folder: Path, test: str) -> bool:
        """Whether a test passes as things are: tried once, before the first row that names it."""
        with self._lock:
            lock = self._locks.setdefault(test, Lock())
        with lock:
            if test not in self._green:
                self._green[test] = tested(folder, test) == 0
            return self._green[test]


class State:
    """What was red before, in a file of lines; without a file, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self.red = {json.loads(line)["key"] for line in lines if line.endswith("}")}

    def add(self, key: str, mutation: Mutation) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps({"key": key, "name": mutation.name}) + "\n")


def run(rows: Sequence[Mutation], jobs: int) -> Iterator[tuple[Mutation, Found]]:
    """Try them, so many at a time; yield each as it ends."""
    with ExitStack() as stack:
        parent = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folders = [stack.enter_context(copied(parent / str(job))) for job in range(jobs)]
        copies = Copies(folders)
        with ThreadPoolExecutor(jobs) as pool:
            under_way = {pool.submit(copies.tried, one): one for one in rows}
            try:
                for done in as_completed(under_way):
                    yield under_way[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def main(words: Sequence[str]) -> int:
    options = _options(words)
    chosen = [one for one in MUTATIONS if options.only.search(f"{one.name} {one.file} {one.test}")]
    if options.list:
        sys.stdout.writelines(f"{one.name}\t{one.file}\t{one.test}\n" for one in chosen)
        return 0
    state = State(options.state)
    keys = {one: key(one) for one in chosen}
    rows = [one for one in chosen if keys[one] not in state.red]
    _say(f"{len(rows)} rows, {len(chosen) - len(rows)} were red before, {options.jobs} at a time")
    began, counts, faults = time.monotonic(), Counter[str](), []
    for mutation, found in run(rows, options.jobs):
        counts[found.verdict] += 1
        line = f"{found.verdict:6}  {mutation.name}" + (f": {found.why}" if found.why else "")
        if found.verdict == "red":
            state.add(keys[mutation], mutation)
        else:
            faults.append(line)
        _say(f"[{counts.total():3}/{len(rows)} {time.monotonic() - began:5.0f} s] {line}")
    _say("\n".join(("", *faults)) if faults else "")
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    _say(f"{len(chosen) - len(faults)} of {len(chosen)} were noticed ({told or 'none tried'})")
    return 1 if faults or not chosen else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="break_checks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", type=re.compile, default=re.compile(""), metavar="PATTERN",
        help="rows whose name, file or test this regular expression is found in",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time; default: 2")
    parser.add_argument("--state", type=Path, help="go on from this file, and keep it")
    parser.add_argument("--list", action="store_true", help="show the rows, and try none")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
