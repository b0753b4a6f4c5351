"""`tiermesh-site`: runs one site's gate, router and node."""

import sys

from middle_tier.http import early

early.listening(sys.argv[1:])  # clients wait in the system's queue while the rest is imported

from middle_tier.config import SiteConfig  # noqa: E402  # as said above
from middle_tier.node import running  # noqa: E402  # as said above
from middle_tier.process import run  # noqa: E402  # as said above


def main() -> None:
    about = "Runs one site: its gate, its router and, where the configuration says so, a node."
    sys.exit(run("tiermesh-site", about, sys.argv[1:], SiteConfig, running))


if __name__ == "__main__":
    main()
