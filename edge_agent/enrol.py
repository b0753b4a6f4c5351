"""``tiermesh-agent enrol``: make a key, have the mesh sign it, keep the credentials."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent.clock import SystemClock
from edge_agent.identity.enrolment import Joining, enrolled
from protocol.errors import MeshError
from protocol.names import check_name


def main(argv: Sequence[str]) -> int:
    """Return the exit status: 0 enrolled, 1 refused or not reached, 2 misused."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level="WARNING", format="%(message)s")
    token = sys.stdin.readline() if options.token == "-" else options.token
    try:
        joining = Joining(
            options.url, check_name(options.node, "node"), token, options.credentials, options.ca
        )
        credentials = asyncio.run(enrolled(joining, SystemClock()))
    except MeshError as error:
        sys.stderr.write(f"tiermesh-agent: {error.error}; {error.hint}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(
        f"{credentials.name} is enrolled in {credentials.site}; in its configuration:\n"
        f'nats_credentials = "{options.credentials}"\n'
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "tiermesh-agent enrol",
        description="Make this device's key and have the mesh sign it. Waits for the operator.",
    )
    parser.add_argument(
        "--token", required=True, help="from `tiermesh enrol token`; -: a line of standard input"
    )
    parser.add_argument("--url", required=True, help="the site's NATS server: tls://HOST:4222")
    parser.add_argument("--node", required=True, help="this device's name within the site")
    parser.add_argument(
        "--ca", type=Path, help="ca.crt: whom the server's certificate is signed by"
    )
    parser.add_argument(
        "--credentials", type=Path, default=Path("/etc/tiermesh/node.creds"), metavar="FILE",
        help="where to keep what it becomes; its key goes beside it (default: %(default)s)",
    )  # fmt: skip
    return parser
