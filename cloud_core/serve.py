"""Model files as tasks, at once: a site of one in this process; or, over NATS, a gate and an agent.

Nothing is known of such a file's accuracy and nobody vouches for it: for trying things on loopback.
The agent's process, where there is one, is serve_agent.
"""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud_core.cores import Cores, apart
from cloud_core.issuer import write_secret
from cloud_core.serve_agent import ServedConfig, held
from cloud_core.up import ports, servers, tokens
from cloud_core.up.layout import Layout
from cloud_core.up.processes import Kept, Program, keeping
from cloud_core.up.ready import last_lines
from cloud_core.up.servers import Login
from edge_agent.bundles.store import Store
from edge_agent.clock import Clock
from edge_agent.config import AgentConfig
from middle_tier import node
from middle_tier.config import SiteConfig
from middle_tier.node import SiteNode
from protocol.bundles import Task
from protocol.errors import MeshError

SITE, NODE = "local", "local-1"
ONE_THREAD = ("env", "GOMAXPROCS=1")
"""For a NATS server between two processes: more threads look for work that there is not, on cores
that gate and agent want."""
POLL_S = 0.02
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be served, and how."""

    files: tuple[Path, ...]
    name: str | None
    layout: Layout
    port: int
    threads: int
    auth: bool


@dataclass(frozen=True, slots=True)
class Served:
    """What is served."""

    url: str
    token: str | None
    tasks: tuple[Task, ...]


@asynccontextmanager
async def alone(order: Order, clock: Clock, tell: Callable[[str], None]) -> AsyncIterator[Served]:
    """Serve from this process: gate and agent together, no server between them."""
    store = held(order.files, order.name)
    agent = _agent(order, nats_url="nats://127.0.0.1:1")
    async with node.running(_site(order, agent, None, clock), clock=clock, store=store) as site:
        await _measured(site, store, clock, tell, ())
        yield _served(order, site, store)


@asynccontextmanager
async def over_nats(
    order: Order, clock: Clock, tell: Callable[[str], None]
) -> AsyncIterator[Served]:
    """Serve from two processes, this one with the gate, and a NATS server between them."""
    store = held(order.files, order.name)
    port, login = ports.free(1)[0], Login("serve", secrets.token_hex(16))
    url = login.url(port)
    cores = (
        apart(os.sched_getaffinity(0), os.getpid()) if hasattr(os, "sched_getaffinity") else None
    )
    programs = _programs(order, port, login, _agent(order, nats_url=url), cores)
    async with AsyncExitStack() as stack:
        stack.enter_context(_on(cores))
        kept = await stack.enter_async_context(keeping(programs, clock, lambda _: None))
        while ports.is_free(port) and not any(one.deaths for one in kept):
            await clock.sleep(POLL_S)
        config = _site(order, None, url, clock)
        site = await stack.enter_async_context(node.running(config, clock=clock))
        await _measured(site, store, clock, tell, kept)
        yield _served(order, site, store)


def _agent(order: Order, *, nats_url: str) -> AgentConfig:
    return AgentConfig(
        node=NODE,
        site=SITE,
        tier="edge",
        nats_url=nats_url,
        state_dir=order.layout.node("serve"),
        threads=order.threads,
        warm=("*",),
    )


def _site(
    order: Order, agent: AgentConfig | None, nats_url: str | None, clock: Clock
) -> SiteConfig:
    if order.auth:
        tokens.kept(order.layout, clock.wall())
    return SiteConfig(
        site=SITE,
        tier="edge",
        nats_url=nats_url,
        port=order.port,
        keys=order.layout.gate_keys if order.auth else None,
        no_auth=not order.auth,
        registered_only=False,
        agent=agent,
        state_dir=order.layout.node("serve"),
    )


def _programs(
    order: Order, port: int, login: Login, agent: AgentConfig, cores: Cores | None
) -> tuple[Program, Program]:
    layout = order.layout
    write_secret(layout.nats("serve-nats"), servers.single(port, client=login))
    config = ServedConfig(agent=agent, files=order.files, name=order.name)
    write_secret(layout.config("serve-agent"), config.model_dump_json(indent=2) + "\n")
    server = (*ONE_THREAD, str(servers.program()), "-c", str(layout.nats("serve-nats")))
    path = str(layout.config("serve-agent"))
    ours = (sys.executable, "-m", "cloud_core.serve_agent", "--config", path)
    return (
        Program(
            "serve-nats", server, layout.log("serve-nats"), cores=cores.server if cores else None
        ),
        Program(
            "serve-agent",
            ours,
            layout.log("serve-agent"),
            "edge",
            SITE,
            cores=cores.agent if cores else None,
        ),
    )


@contextmanager
def _on(cores: Cores | None) -> Iterator[None]:
    """Run the gate, which is this thread, on its core until the block ends."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.gate)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _measured(
    site: SiteNode,
    store: Store,
    clock: Clock,
    tell: Callable[[str], None],
    kept: Sequence[Kept],
) -> None:
    """Return when every file is loaded and measured; raise `MeshError` when one cannot be."""
    end = clock.now() + PATIENCE_S
    while missing := set(store.held) - _warm(site, clock.now()):
        tell(f"loading and measuring {', '.join(sorted(missing))}")
        for status in site.view.nodes(clock.now()):
            for name, why in status.unable.items():
                raise MeshError(f"{name} cannot be served: {why}", "see the file's format")
        dying = next((one for one in kept if one.deaths > 2), None)  # noqa: PLR2004  # as in up
        if dying is not None or clock.now() > end:
            said = last_lines(dying.program.log, 3) if dying else "it takes too long"
            raise MeshError(f"{', '.join(sorted(missing))} cannot be loaded: {said}")
        await clock.sleep(POLL_S)


def _warm(site: SiteNode, now: float) -> set[str]:
    """The variants that are in memory and have been measured."""
    measured = {
        info.variant
        for task in site.view.tasks
        for info in site.view.variants(task)
        if info.profile.measured
    }
    loaded = {
        line.variant
        for status in site.view.nodes(now)
        for line in status.advert.loaded
        if line.state == "warm"
    }
    return loaded & measured


def _served(order: Order, site: SiteNode, store: Store) -> Served:
    token = order.layout.token("operator").read_text().strip() if order.auth else None
    return Served(site.url, token, tuple(store.tasks.values()))
