"""`tiermesh init`: keys, credentials and configuration for a mesh that is not a demo."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from cloud_core.cli import show
from cloud_core.cli.misuse import MisusedError
from cloud_core.cli.reach import Json
from cloud_core.identity.founding import Plan, founded, in_url
from edge_agent.clock import SystemClock
from protocol.errors import BadRequestError

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
MAX_HOST = 253


def init(  # noqa: PLR0913  # a command's options
    folder: Annotated[Path, typer.Argument(help="Where to write; what is there is kept.")],
    *,
    hub: Annotated[str, typer.Option(help="Host of the cloud's NATS server.")] = "localhost",
    site: Annotated[
        list[str] | None, typer.Option(help="A site and its host, NAME=HOST; repeatable.")
    ] = None,
    etc: Annotated[str, typer.Option(help="Where a folder lies on its machine.")] = "/etc/tiermesh",
    data: Annotated[str, typer.Option(help="Where it keeps its data.")] = "/var/lib/tiermesh",
    ca_cert: Annotated[
        Path | None, typer.Option(help="Your own certificate authority; else one is made.")
    ] = None,
    ca_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    as_json: Json = False,
) -> None:
    """Make keys, credentials and NATS configurations: one folder for each machine."""
    if (ca_cert is None) != (ca_key is None):
        raise BadRequestError("a certificate authority is two files", "give --ca-cert and --ca-key")
    sites = dict(_named(one) for one in site or ())
    whole = folder.expanduser().absolute()
    plan = Plan(whole, _host(hub, "--hub"), sites, etc, data, ca_certificate=ca_cert, ca_key=ca_key)
    parts = founded(plan, SystemClock().wall())
    if as_json:
        show.as_json({"dir": str(whole), "machines": list(parts)})
        return
    show.plain("\n".join(_steps(whole, parts, plan)))


def _named(text: str) -> tuple[str, str]:
    name, equals, host = text.partition("=")
    if not (name and equals and host):
        raise BadRequestError(f"{text!r} is not a site and its host", "give --site NAME=HOST")
    return name, _host(host, f"--site {name}")


def _host(text: str, option: str) -> str:
    """Pure. Return it; raise `MisusedError` for what no certificate and no URL could name."""
    labels = text.split(".")
    if labels[-1].isdecimal() or ":" in text:
        good = "%" not in text and _is_address(text)
    else:
        good = len(text) <= MAX_HOST and all(_LABEL.fullmatch(label) for label in labels)
    if not good:
        raise MisusedError(
            f"{option}: {text[:80]!r} is neither a host's name nor an address",
            "give it without scheme, port and path, as hub.example.org or 192.0.2.7",
        )
    return text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _steps(folder: Path, parts: tuple[str, ...], plan: Plan) -> list[str]:
    """What to copy where."""
    (hub, *sites), etc = parts, plan.etc
    return [
        f"copy  {folder}/{hub}/.  to the hub's machine, as {etc}/, and there:",
        f"        nats-server -c {etc}/nats.conf",
        f"        tiermesh-cloud --config {etc}/cloud.json",
        f"        tiermesh bundles publish FOLDER --dir {etc}    (what nodes are to run)",
        *(
            line
            for site in sites
            for line in (
                f"copy  {folder}/{site}/.  to the machine of {site}, as {etc}/, and there:",
                f"        nats-server -c {etc}/nats.conf",
                f"        tiermesh-site --config {etc}/site.json",
            )
        ),
        f"copy  {folder}/device/.  to each device, and there (see `tiermesh enrol token`):",
        "        tiermesh-agent enrol --token ... --url tls://HOST:4222 --ca ca.crt --node NAME",
        f"keep  {folder}  where nobody else reads it: {folder}/identity/operator.nk and",
        f"      {folder}/ca/ca.key and {folder}/keys/root best offline;",
        "      nothing that runs needs them",
        f"your own token is in {folder}/tokens/operator; commands take it from the environment:",
        f"      TIERMESH_URL=https://{in_url(plan.hub)}:8080 TIERMESH_CA={folder}/device/ca.crt",
        f"      TIERMESH_TOKEN=$(cat {folder}/tokens/operator)",
    ]
