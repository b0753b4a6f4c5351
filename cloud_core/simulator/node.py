"""A node on stepped time: the agent's own queue, batching, admission and eviction, and no threads.

What is real here: `Lanes`, `next_batch`, `Forecast`, `Holdings.room_for`, `finish_ms`. What stands
in for the agent's loops: a run ends when the table says, a load when its time is over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Literal, NamedTuple, Protocol, cast

from cloud_core.simulator.kinds import Kind
from edge_agent.admission import finish_ms
from edge_agent.queue.batching import TYPICAL, Waiting
from edge_agent.queue.lanes import Lanes
from edge_agent.queue.strands import Lane
from edge_agent.stock.holdings import Holding, Holdings

QUEUE_LIMIT = 1024
"""As an agent's by default."""

No = Literal["deadline", "queue_full", "memory", "cancelled"]


class Told(NamedTuple):
    """What an answer says of its run."""

    variant: str
    accuracy: float
    run_ms: float
    held_ms: float
    batch: int
    cold: bool
    queue_ms: float


@dataclass(slots=True, eq=False)
class Job(Waiting):
    """An ask that waits here; `reply` of the original is a subject, ours is a call."""

    draw: float = 50.0
    """The percentile of the run times that it takes."""
    told: Callable[[Told | No], None] = print
    late: bool = False
    """Run it even if it is to miss its objective."""
    lane: Lane | None = None
    """Where it waits, or waited."""


class Host(Protocol):
    """What a node needs of the world around it."""

    now: float

    def at(self, when: float, act: Callable[[], None]) -> None: ...
    def worked(self, node: "Node", seconds: float) -> None: ...
    def released(self, node: "Node") -> None: ...
    def changed(self, node: "Node") -> None: ...
    def loading(self, node: "Node") -> None: ...


@dataclass(slots=True, eq=False)
class Node:
    """The mutable state: what it holds, what waits, until when it runs, since when it is held."""

    host: Host
    kind: Kind
    site: str
    name: str
    holdings: dict[str, Holding] = field(default_factory=dict)
    """Those that were ever wanted here."""
    lanes: Lanes | None = None
    on: bool = True
    """Held, and started or starting."""
    ready_at: float = 0.0
    """When it has started."""
    since: float = 0.0
    """When it was last started, or taken."""
    used_at: float = 0.0
    end: float = 0.0
    """When its run is predicted to be over."""
    busy: bool = False
    slow: float = 1.0
    loads: int = 0
    loads_end: float = 0.0
    watched: bool = False

    def __repr__(self) -> str:
        warm = sum(holding.state == "warm" for holding in self.holdings.values())
        return f"<Node {self.name} | {'on' if self.on else 'off'} | {warm} warm>"

    def queue_ms(self, now: float) -> float:
        """Work admitted and not finished, less what is late anyway: as an agent reports it."""
        queued = self.lanes.queued_ms if self.lanes is not None else 0.0
        return queued + max(0.0, self.end - now) * 1e3 if self.busy else queued

    def holding(self, variant: str) -> Holding:
        found = self.holdings.get(variant)
        if found is None:
            found = self.holdings[variant] = self.kind.holding(variant)
        return found

    def cold_ms(self, holding: Holding, now: float) -> float:
        """What is left of starting, and of loading."""
        if not self.on:
            return self.kind.fleet.start_s * 1e3 + holding.profile.load_ms
        if holding.state == "cold":
            begins_s = max(0.0, self.ready_at - now, self.loads_end - now)
            return begins_s * 1e3 + holding.profile.load_ms
        return holding.cold_ms(now)

    def take(self, job: Job, variant: str, *, strict: bool) -> No | None:
        """Queue an ask, or say why not: the agent's rule if `strict`, else all that fits."""
        now, holding = self.host.now, self.holding(variant)
        lanes = self.lanes
        if lanes is None:
            lanes = self.lanes = Lanes()
        if lanes.rows >= QUEUE_LIMIT:
            return "queue_full"
        holding.forecast.forget(now)
        queue, cold = self.queue_ms(now), self.cold_ms(holding, now)
        run = holding.forecast.run_ms(1, job.ask.percentile)
        finish = finish_ms(link=0.0, transfer=0.0, queue=queue, cold=cold, run=run)
        end = now + finish / 1e3
        if strict and end > job.due and not self._passes(lanes, job, holding, end=end, cold=cold):
            return "deadline"
        if holding.state == "cold" and not self.load(holding):
            return "memory"
        job.predicted_ms, job.cold = finish, cold > 0.0
        holding.in_use += 1
        alone = not (self.busy or lanes.rows) and holding.state == "warm"
        if alone and now + run / 1e3 <= min(job.due, job.deadline):  # as an agent's short way
            self._run(lanes, holding, (job,))
            return None
        job.lane = lanes.push(job, holding, (), short=False)
        if not self.busy:
            self.turn()
        return None

    def _passes(self, lanes: Lanes, job: Job, holding: Holding, *, end: float, cold: float) -> bool:
        """Whether one that would be late in its turn may pass others, or be late."""
        now = self.host.now
        free_at = max(now, self.end) if self.busy else now
        run_s = holding.forecast.run_s(1, TYPICAL if job.late else job.ask.percentile)
        if not cold and lanes.passes(job.ask, free_at=free_at, due=job.due, run_s=run_s):
            return True
        if not job.late or end > job.deadline:
            return False
        job.due = inf
        return True

    def cancel(self, job: Job) -> None:
        """Take out an ask that waits; one that runs is run to its end."""
        if self.lanes is not None and job.lane is not None and self.lanes.cancel(job.lane, job):
            job.lane.holding.in_use -= 1
            job.told("cancelled")

    def turn(self) -> None:
        """Start the next batch, if one may start."""
        lanes = self.lanes
        while lanes is not None and not self.busy and lanes.rows:
            lane = lanes.next(short_only=False)
            if lane is None:
                return
            self._start(lanes, lane)

    def _start(self, lanes: Lanes, lane: Lane) -> None:
        holding, now = lane.holding, self.host.now
        batch = lanes.take(lane, now, holding.held.variant.max_batch)
        for job in batch.late:
            holding.in_use -= 1
            cast("Job", job).told("deadline")
        if batch.members:
            self._run(lanes, holding, batch.members)

    def _run(self, lanes: Lanes, holding: Holding, members: tuple[Waiting, ...]) -> None:
        now, rows = self.host.now, len(members)
        draw = cast("Job", members[0]).draw
        run_s = self.kind.run(holding.id, rows).at(draw) / 1e3 * self.slow
        self.busy = holding.busy = True
        self.end = now + holding.forecast.run_s(rows, 50.0)
        self.host.worked(self, run_s)
        self.host.at(now + run_s, partial(self._ran, lanes, holding, members, run_s * 1e3))

    def _ran(
        self, lanes: Lanes, holding: Holding, jobs: tuple[Waiting, ...], run_ms: float
    ) -> None:
        now, rows = self.host.now, len(jobs)
        self.busy = holding.busy = False
        holding.forecast.observe(rows, run_ms, now)
        holding.used_at = self.used_at = now
        holding.in_use -= rows
        queue, info = self.queue_ms(now), self.kind.by_variant[holding.id]
        lanes.wake(holding)
        self.turn()
        for job in jobs:
            held = (now - job.arrived) * 1e3
            told = Told(info.variant, info.accuracy, run_ms, held, rows, job.cold, queue)
            cast("Job", job).told(told)
        self._watch()

    # -- what is in memory, and whether it is held at all --------------------------------------

    def load(self, holding: Holding) -> bool:
        """Have it loaded, unless that is under way; False when there is no room."""
        if holding.state != "cold":
            return True
        memory = int(self.kind.fleet.memory_mb * 1e6)
        evicted = Holdings(self.holdings.values(), memory).room_for(holding)
        if evicted is None:
            return False
        self.start()
        for each in evicted:
            each.state = "cold"
        now, load_s = self.host.now, holding.profile.load_ms / 1e3
        self.loads_end = max(now, self.ready_at, self.loads_end) + load_s
        holding.state, holding.ready_at = "loading", self.loads_end
        self.loads += 1
        self.host.loading(self)
        self.host.worked(self, load_s)
        self.host.at(self.loads_end, partial(self._loaded, holding))
        self.host.changed(self)
        return True

    def _loaded(self, holding: Holding) -> None:
        self.loads -= 1
        holding.state = "warm"
        holding.used_at = self.used_at = self.host.now
        self.host.changed(self)
        if self.lanes is not None:
            self.lanes.wake(holding)
            self.turn()
        self._watch()

    def start(self) -> None:
        """Begin to hold it, unless it is held."""
        if not self.on:
            now = self.host.now
            self.on, self.since, self.ready_at = True, now, now + self.kind.fleet.start_s
            self.used_at = self.ready_at
            self.host.at(self.ready_at, self._started)
            self.host.changed(self)

    def _started(self) -> None:
        self.host.changed(self)
        self._watch()

    @property
    def started(self) -> bool:
        return self.on and self.host.now >= self.ready_at

    def _watch(self) -> None:
        """Look again when it could have been idle for long enough."""
        if self.kind.on_demand and not self.watched and self.on:
            self.watched = True
            self.host.at(max(self.host.now, self.used_at + self.kind.fleet.idle_s), self._idle)

    def _idle(self) -> None:
        self.watched = False
        waits = self.lanes is not None and self.lanes.rows > 0
        if self.busy or self.loads or waits:
            return  # whatever ends then looks again
        if self.host.now + 1e-9 < self.used_at + self.kind.fleet.idle_s:
            self._watch()
            return
        self.on = False
        for holding in self.holdings.values():
            holding.state = "cold"
        self.host.released(self)
        self.host.changed(self)
