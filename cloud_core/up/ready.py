"""When the mesh answers: every node that was started is alive at its gate and holds variants.

And the cloud has been told of all those of the sites, so that a first query is answered where it
always will be.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from cloud_core.up.processes import Kept
from cloud_core.up.topology import Topology
from edge_agent.clock import Clock
from protocol.errors import MeshError

PATIENCE_S = 120.0
POLL_S = 0.1
Node = tuple[str, str]
"""(site, node)."""


class Starting(Protocol):
    """What is waited for."""

    topology: Topology
    token: str

    @property
    def logs(self) -> Path: ...

    @property
    def failing(self) -> Kept | None: ...

    def enter(self, phase: Any, doing: str = "") -> None: ...  # noqa: ANN401  # a phase of State


def usable(documents: Iterable[Mapping[str, Any]]) -> set[Node]:
    """Pure. Return the nodes of `GET /v1/nodes` that are alive and can run something."""
    return {
        (node["advert"]["site"], node["advert"]["node"])
        for document in documents
        for node in document["nodes"]
        if node["health"] == "alive" and node["variants"]
    }


def shut_out(document: Mapping[str, Any]) -> set[Node]:
    """Pure. Return the nodes of `GET /v1/identities` that may not connect: nobody waits for them.

    A node may have been enrolled again since.
    """
    held = {True: set[Node](), False: set[Node]()}
    for one in document["identities"]:
        held[one["state"] in ("active", "pending")].add((one["site"], one["node"]))
    return held[False] - held[True]


def untold(expected: Iterable[Node], front: str, sites: Mapping[str, Any]) -> set[Node]:
    """Pure. Return the nodes of sites of which `GET /v1/sites` at the front gate counts too few."""
    counts = {site["site"]: sum(site["nodes"].values()) for site in sites["sites"]}
    below = [node for node in expected if node[0] != front]
    wanted = Counter(site for site, _ in below)
    return {node for node in below if counts.get(node[0], 0) < wanted[node[0]]}


async def answering(mesh: Starting, clock: Clock, tell: Callable[[str], None]) -> None:
    """Return once every node answers; raise `MeshError` when that cannot be expected any more."""
    expected = mesh.topology.nodes
    end = clock.now() + PATIENCE_S
    headers = {"Authorization": f"Bearer {mesh.token}"}
    doing = ""
    async with aiohttp.ClientSession(headers=headers) as session:
        while missing := await _missing(session, mesh.topology):
            doing, before = _doing(expected, missing), doing
            if doing != before:
                tell(doing)
                mesh.enter("starting", doing)
            if mesh.failing is not None:
                raise _failure(mesh.failing)
            if clock.now() > end:
                raise MeshError(
                    f"after {PATIENCE_S:g} s {doing}", f"what they say is in {mesh.logs}"
                )
            await clock.sleep(POLL_S)


async def _missing(session: aiohttp.ClientSession, topology: Topology) -> frozenset[Node]:
    expected, front = topology.nodes, topology.gates[0]
    found = await asyncio.gather(*(_list(session, gate.url, "nodes") for gate in topology.gates))
    if missing := expected - usable(found):
        return missing - shut_out(await _list(session, front.url, "identities"))
    return frozenset(untold(expected, front.site, await _list(session, front.url, "sites")))


async def _list(session: aiohttp.ClientSession, gate: str, noun: str) -> Mapping[str, Any]:
    try:
        async with session.get(f"{gate}/v1/{noun}") as answer:
            document: dict[str, Any] = await answer.json()
    except (aiohttp.ClientError, ValueError):
        return {noun: []}
    return document if noun in document else {noun: []}


def _doing(expected: frozenset[Node], missing: frozenset[Node]) -> str:
    names = ", ".join(sorted(node for _, node in missing))
    return f"{len(expected) - len(missing)} of {len(expected)} nodes answer; waiting for {names}"


def _failure(kept: Kept) -> MeshError:
    name, log = kept.program.name, kept.program.log
    said = last_lines(log, 3)
    return MeshError(f"{name} ends as often as it is started: {said}", f"all it said: {log}")


def last_lines(log: Path, count: int) -> str:
    """Return the end of a log, on one line."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "it said nothing"
    return " | ".join(line.strip() for line in lines[-count:] if line.strip()) or "it said nothing"
