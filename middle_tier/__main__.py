"""`tiermesh-site`: runs one site's gate, router and node."""

import sys

from middle_tier.config import SiteConfig
from middle_tier.node import running
from middle_tier.process import run


def main() -> None:
    about = "Runs one site: its gate, its router and, where the configuration says so, a node."
    sys.exit(run("tiermesh-site", about, sys.argv[1:], SiteConfig, running))


if __name__ == "__main__":
    main()
