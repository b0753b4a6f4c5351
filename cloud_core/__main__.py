"""`tiermesh-cloud`: runs the cloud's front door, its router and its own node."""

import sys

from middle_tier.http import early

early.listening(sys.argv[1:])  # clients wait in the system's queue while the rest is imported

from cloud_core.config import CloudConfig  # noqa: E402  # as said above
from cloud_core.federation import running  # noqa: E402  # as said above
from middle_tier.process import run  # noqa: E402  # as said above


def main() -> None:
    about = "Runs the cloud: the front door over its own nodes and the sites below it."
    sys.exit(run("tiermesh-cloud", about, sys.argv[1:], CloudConfig, running))


if __name__ == "__main__":
    main()
