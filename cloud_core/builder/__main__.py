"""The builder's process: an event a line, in JSON, on standard output; all else on standard error.

Runs in the builder's environment, started by ``tiermesh bundles build``.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from cloud_core.builder import recipe
from cloud_core.builder.measure import Bench
from cloud_core.builder.pipeline import build
from protocol.errors import MeshError


def main() -> int:
    """Build; 0 when every variant was made, 1 when one failed or nothing could be done."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no folder and no probe behind
    arguments = _arguments()
    with _events() as events:

        def report(event: str, fields: Mapping[str, object]) -> None:
            events.write(json.dumps({"event": event, **fields}) + "\n")
            events.flush()

        try:
            found = recipe.read(arguments.source)
            with TemporaryDirectory(prefix="tiermesh-build-") as work:
                bench = Bench(
                    found.task, found.validation(), Path(sys.executable),
                    tflite_python=arguments.tflite_python, budget_s=arguments.budget_s,
                )  # fmt: skip
                outcome = build(found, bench, work=Path(work), out=arguments.out, report=report)
        except MeshError as error:
            report("error", error.body())
            return 1
        bundles = [
            {"folder": str(folder), **manifest.model_dump(mode="json")}
            for folder, manifest in outcome.built.items()
        ]
        report("done", {"bundles": bundles, "failed": outcome.failed})
        return 1 if outcome.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cloud_core.builder")
    parser.add_argument("source", help="the name of a recipe, or the path of one")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tflite-python", type=Path)
    parser.add_argument("--budget-s", type=float, default=2.0)
    return parser.parse_args()


def _events() -> TextIO:
    """Keep standard output for events: exporters print to it too, from C++ as well."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w")


if __name__ == "__main__":
    sys.exit(main())
