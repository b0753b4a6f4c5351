"""The `tiermesh` command. Says what to install where the cloud extra is missing; the rest is cli.

The only place that reads the environment and the command line.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec

NEEDED = ("typer", "rich", "aiohttp")
INTERRUPTED = 130
INSTALL = "pip install 'tiermesh[cloud]'"


def main() -> None:
    """Run the command and exit: 0 done, 1 failed, 2 misused."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"tiermesh needs {', '.join(missing)}: {INSTALL}\n")
        sys.exit(1)
    try:
        cli = import_module("cloud_core.cli.main")  # imports typer: an agent alone does not have it
        sys.exit(cli.run(sys.argv[1:], os.environ))
    except KeyboardInterrupt:  # while it imports; later `run` sees to it
        sys.exit(INTERRUPTED)
