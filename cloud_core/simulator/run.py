"""A scenario under one policy or several, side by side in processes where there are cores."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from time import perf_counter
from typing import Protocol

from cloud_core.simulator import results
from cloud_core.simulator.results import Outcome, Results
from cloud_core.simulator.scenario import Scenario
from cloud_core.simulator.tables import Kit, kits
from cloud_core.simulator.world import Policy, World
from edge_agent.garbage import THRESHOLDS
from middle_tier.scheduler.types import Policy as Rules
from protocol.errors import BadRequestError, ExecutionError

POLICIES: Mapping[str, str] = {
    "mesh": "cloud_core.simulator.policies.mesh:Mesh",
    "oracle": "cloud_core.simulator.policies.oracle:outcome",
    "always-cloud": "cloud_core.simulator.policies.always_cloud:AlwaysCloud",
    "edge-then-cloud": "cloud_core.simulator.policies.edge_then_cloud:EdgeThenCloud",
    "static-best": "cloud_core.simulator.policies.static_best:StaticBest",
    "infaas-like": "cloud_core.simulator.policies.infaas_like:InfaasLike",
    "proteus-like": "cloud_core.simulator.policies.proteus_like:ProteusLike",
}
"""Name -> what makes it; imported when first used, as scipy takes half a second."""

Progress = Callable[[str, float], None]
"""Told a policy and how much of its run is done, 0 to 1."""


class Deciding(Policy, Protocol):
    """A policy that knows how long its decisions took."""

    decision_ns: list[int]


@dataclass(frozen=True, slots=True)
class Job:
    """One policy's run."""

    scenario: Scenario
    kits: dict[str, Kit]
    name: str
    rules: Rules | None = None
    scale: float = 1.0


def simulate(
    scenario: Scenario,
    policies: Sequence[str] = ("mesh",),
    *,
    progress: Progress | None = None,
    processes: int = 1,
    rules: Rules | None = None,
    scale: float = 1.0,
) -> Results:
    """Run a scenario under each policy.

    `rules` is the operator's policy that `mesh` goes by (by default the scenario's link prices and
    nothing else); `scale` multiplies every trace. Raises `BadRequestError` for a name that is no
    policy, or data files that cannot be used.
    """
    for name in policies:
        if name not in POLICIES:
            raise BadRequestError(f"no policy {name!r}", f"there are {', '.join(POLICIES)}")
    begin = perf_counter()
    known = kits(scenario)
    jobs = [Job(scenario, known, name, rules, scale) for name in dict.fromkeys(policies)]
    told = progress or _untold
    if processes > 1 and len(jobs) > 1:
        found = _side_by_side(jobs, told, processes)
    else:
        found = {job.name: run(job, told) for job in jobs}
    notes = tuple(note for kit in known.values() for note in kit.notes)
    return Results(scenario.name, scenario.seed, perf_counter() - begin, found, notes)


def run(job: Job, progress: Progress = lambda _name, _done: None) -> Outcome:
    """Run one policy here."""
    module, _, name = POLICIES[job.name].partition(":")
    made = getattr(import_module(module), name)
    with seldom_collected():
        world = World(job.scenario, job.kits, scale=job.scale)
        if job.name == "oracle":
            found: Outcome = made(world, lambda done: progress(job.name, done))
            return found
        policy: Deciding = made(world, job.rules) if job.name == "mesh" else made(world)
        return under(policy, world, lambda done: progress(job.name, done))


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage seldom: next to none is made, and each look goes through all nodes."""
    usual = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def under(policy: Deciding, world: World, progress: Callable[[float], None]) -> Outcome:
    """Let it all happen in a world under a policy."""
    world.policy = policy
    begun = perf_counter()
    gc.collect()
    gc.freeze()
    world.run(progress)
    return results.outcome(
        world.scenario, world.arrivals, world.records, world.ledger,
        cold_starts=world.cold_starts, spent=(policy.decision_ns, perf_counter() - begun),
    )  # fmt: skip


def _side_by_side(jobs: list[Job], progress: Progress, processes: int) -> dict[str, Outcome]:
    """Run each in a process of its own, so many at a time."""
    context = get_context("spawn")
    waiting, found = list(reversed(jobs)), {}
    running: dict[Connection, str] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            job = waiting.pop()
            here, there = context.Pipe(duplex=False)
            context.Process(target=_child, args=(job, there), daemon=True).start()
            there.close()
            running[here] = job.name
        for ready in wait(list(running)):
            if not isinstance(ready, Connection):
                continue
            try:
                said = ready.recv()
            except EOFError as error:
                raise ExecutionError(
                    f"the process of {running[ready]} has ended", "was it short of memory?"
                ) from error
            if isinstance(said, float):
                progress(running[ready], said)
            elif isinstance(said, BadRequestError):
                raise said
            else:
                found[running.pop(ready)] = said
                ready.close()
    return {job.name: found[job.name] for job in jobs}


def _child(job: Job, pipe: Connection) -> None:
    try:
        pipe.send(run(job, lambda _name, done: pipe.send(done)))
    except BadRequestError as error:
        pipe.send(error)


def _untold(_name: str, _done: float) -> None:
    """Nobody watches."""
