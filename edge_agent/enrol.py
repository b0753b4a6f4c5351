"""``tiermesh-agent enrol``: make a key, have the mesh sign it, keep what the agent runs with."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent import kept
from edge_agent.clock import SystemClock
from edge_agent.identity.credentials import Credentials, tags_of
from edge_agent.identity.enrolment import Joining, enrolled
from protocol.errors import MeshError
from protocol.names import check_name

ROOT = "1.root.json"
"""The first root of the mesh's bundles, beside the credentials."""


def main(argv: Sequence[str]) -> int:
    """Return the exit status: 0 enrolled, 1 refused or not reached, 2 misused."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level="WARNING", format="%(message)s")
    token = sys.stdin.readline() if options.token == "-" else options.token
    try:
        trust = options.credentials.with_name(ROOT)
        joining = Joining(
            options.url, check_name(options.node, "node"), token, options.credentials, trust,
            options.ca,
        )  # fmt: skip
        credentials = asyncio.run(enrolled(joining, SystemClock()))
        said = configuration(joining, credentials)
        if options.config is not None and not options.config.exists():
            kept.write(options.config, said.encode())
    except MeshError as error:
        sys.stderr.write(f"tiermesh-agent: {error.error}; {error.hint}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    where = f"in its configuration:\n{said}" if options.config is None else _next(options.config)
    sys.stdout.write(f"{credentials.name} is enrolled in {credentials.site}; {where}")
    return 0


def configuration(joining: Joining, credentials: Credentials) -> str:
    """Return what the agent's configuration has to say, as TOML."""
    said = {
        "node": credentials.name,
        "site": credentials.site,
        "tier": tags_of(credentials.jwt).get("tier", "edge"),
        "nats_url": joining.url,
        "nats_credentials": str(joining.credentials.absolute()),
    }
    if joining.ca is not None:
        said["nats_ca"] = str(joining.ca.absolute())
    if joining.trust.exists():
        said["trust"] = str(joining.trust.absolute())
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items())


def _next(config: Path) -> str:
    return f"run it: tiermesh-agent --config {config}\n"


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
        help="where to keep what it becomes; its key goes beside it, and the root of the "
        "mesh's bundles (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="write the agent's configuration there, unless there is one (a .toml)",
    )  # fmt: skip
    return parser
