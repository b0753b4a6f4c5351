"""A whole mesh on this machine while a block lasts: written, started, kept, stopped in order.

What it consists of is topology's to say; showing it is the command's.
"""

import logging
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from os import getpid
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import Field

from cloud_core.issuer import write_secret
from cloud_core.up import bundles, identities, ports, servers, signed, state, tokens
from cloud_core.up.layout import Layout
from cloud_core.up.processes import Kept, keeping
from cloud_core.up.ready import answering
from cloud_core.up.state import ProcessState, State
from cloud_core.up.topology import CLOUD, SITE, Ports, Setting, Topology, edges_of, planned
from edge_agent.clock import Clock
from edge_agent.config import Config
from protocol.errors import MeshError

log = logging.getLogger(__name__)

GATE_PORT = 8080
LEAST_BYTES = 20_000_000
"""Of free disk, without which none is started: a new mesh writes 4 MB, and its logs grow."""


class UpConfig(Config):
    """What `tiermesh up` was asked for."""

    dir: Path
    """Where everything is kept."""
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Of the cloud's gate; None: 8080 if it is free, else any. 0: any."""
    edges: Annotated[int, Field(ge=1, le=64)] = 2
    bundles: tuple[Path, ...] = ()
    """Folders with bundles, beside the demo's."""


class Mesh:
    """What runs, and the file that says so."""

    def __init__(self, layout: Layout, topology: Topology, token: str) -> None:
        self.layout = layout
        self.topology = topology
        self.token = token
        self.phase: Literal["starting", "ready", "stopping"] = "starting"
        self.doing = "starting the processes"
        self._kept: Sequence[Kept] = ()

    def __repr__(self) -> str:
        return f"<Mesh {self.layout.root} | {self.phase} | {len(self._kept)} processes>"

    @property
    def state(self) -> State:
        gates = self.topology.gates
        return State(
            url=gates[0].url,
            token=self.token,
            dir=str(self.layout.root),
            nats_url=self.topology.nats_url,
            gates=gates,
            relays=self.topology.relays,
            processes=tuple(_process(one) for one in self._kept),
            supervisor=getpid(),
            phase=self.phase,
            doing=self.doing,
        )

    @property
    def logs(self) -> Path:
        """Where its processes' logs are."""
        return self.layout.log("up").parent

    @property
    def failing(self) -> Kept | None:
        """A process that dies as often as it is started."""
        return next((one for one in self._kept if one.deaths > 2), None)  # noqa: PLR2004

    def record(self, kept: Sequence[Kept]) -> None:
        """Write down what runs; a full disk must not end it."""
        self._kept = kept
        try:
            state.write(self.layout, self.state)
        except OSError as error:
            log.warning("%s is not up to date: %s", self.layout.state, error.strerror)

    def enter(self, phase: Literal["starting", "ready", "stopping"], doing: str = "") -> None:
        self.phase, self.doing = phase, doing
        self.record(self._kept)


@asynccontextmanager
async def running(
    config: UpConfig, clock: Clock, tell: Callable[[str], None]
) -> AsyncIterator[Mesh]:
    """Run the mesh until the block ends; yields once every node answers. Raises `MeshError`."""
    layout = Layout(config.dir)
    with state.holding(layout) as left:
        if left is not None:
            tell("an earlier mesh here ended without a goodbye: clearing up after it")
            _clear(left, layout)
        _room(layout)
        signed.sign(layout, bundles.demo(), config.bundles, clock.wall)
        minted = tokens.kept(layout, clock.wall())
        issued = tuple(tokens.described(token) for token in minted.values())
        topology = planned(replace(_setting(config, layout, clock.wall(), tell), tokens=issued))
        _write(topology, layout)
        mesh = Mesh(layout, topology, minted["operator"])
        async with keeping(topology.programs, clock, mesh.record):
            try:
                await answering(mesh, clock, tell)
                mesh.enter("ready")
                yield mesh
            finally:
                mesh.enter("stopping")


def _room(layout: Layout) -> None:
    """Said at once: with a full disk all processes would begin, fail and begin again."""
    free = shutil.disk_usage(layout.root).free
    if free < LEAST_BYTES:
        raise MeshError(
            f"{free / 1e6:.0f} MB are free at {layout.root}: a mesh needs {LEAST_BYTES / 1e6:.0f}",
            "free some, or give another --dir",
        )


def _setting(config: UpConfig, layout: Layout, now: float, tell: Callable[[str], None]) -> Setting:
    *others, spare = ports.free(8)
    gate = _gate_port(config.port, spare, tell)
    return Setting(
        layout=layout,
        ports=_ports(gate, others),
        edges=config.edges,
        trust=identities.minted(layout, CLOUD, SITE, edges_of(config.edges), now),
        python=sys.executable,
        nats_server=str(servers.program()),
    )


def _ports(gate: int, others: Sequence[int]) -> Ports:
    hub, leaf, site, edge_middle, middle_cloud, control, site_gate = others
    return Ports(
        hub=hub,
        leaf=leaf,
        site=site,
        edge_middle=edge_middle,
        middle_cloud=middle_cloud,
        control=control,
        cloud_gate=gate,
        site_gate=site_gate,
    )


def _gate_port(asked: int | None, spare: int, tell: Callable[[str], None]) -> int:
    if asked:
        return ports.claimed(asked)
    if asked is None and ports.is_free(GATE_PORT):
        return GATE_PORT
    if asked is None:
        tell(f"port {GATE_PORT} is taken: the gate listens on {spare}")
    return spare


def _write(topology: Topology, layout: Layout) -> None:
    """Write every configuration; they hold passwords."""
    for name, text in topology.servers.items():
        write_secret(layout.nats(name), text)
    for name, text in topology.configs.items():
        write_secret(layout.config(name), text + "\n")


def _process(one: Kept) -> ProcessState:
    program = one.program
    return ProcessState(
        name=program.name,
        pid=one.pid,
        tier=program.tier,
        site=program.site,
        state=one.state,
        restarts=one.restarts,
    )


def _clear(left: State, layout: Layout) -> None:
    """End what a killed supervisor's children still run, where the kernel has not (not Linux)."""
    for process in left.processes:
        try:
            found = psutil.Process(process.pid) if process.pid else None
            if found and any(str(layout.root) in word for word in found.cmdline()):
                found.kill()
        except psutil.Error:
            log.debug("%s is gone already", process.name)
