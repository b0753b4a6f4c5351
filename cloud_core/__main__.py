"""`tiermesh-cloud`: runs the cloud's front door, its router and its own node."""

import sys

from cloud_core.config import CloudConfig
from cloud_core.federation import running
from middle_tier.process import run


def main() -> None:
    about = "Runs the cloud: the front door over its own nodes and the sites below it."
    sys.exit(run("tiermesh-cloud", about, sys.argv[1:], CloudConfig, running))


if __name__ == "__main__":
    main()
