"""The way of an ask through this node: admitted or refused, queued, run, answered.

Plain callbacks on the event loop: no task and no lock for an ask. Each ask gets exactly one reply.
The decisions are those of reception, batching and lanes; this carries them out.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from edge_agent.clock import Clock
from edge_agent.config import AgentConfig
from edge_agent.near import Where
from edge_agent.queue import executor
from edge_agent.queue.answering import Facts, answer_to
from edge_agent.queue.batching import Waiting
from edge_agent.queue.executor import Failed, Ran
from edge_agent.queue.gathering import Gathering
from edge_agent.queue.intake import Shapes
from edge_agent.queue.lanes import Lanes
from edge_agent.queue.reception import Admitted, Load, Reception, refusal
from edge_agent.queue.strands import Lane
from edge_agent.queue.threads import Threads
from edge_agent.stock.holdings import Holding
from protocol.codec import Bytes
from protocol.messages import Ask, Asks, RefusalReason

INLINE_PERCENTILE = 50.0
"""What decides between the loop and a thread. The outliers of so short a run are the machine's
stalls, which a thread would suffer just the same: a high percentile of one noisy measurement would
make every run pay for the thread."""


class Serving:
    """The mutable state is the lanes, who waits in them by id, and what runs until when."""

    def __init__(
        self, config: AgentConfig, clock: Clock, reception: Reception, gathering: Gathering
    ) -> None:
        self.open = 0
        """Asks that wait or run."""
        self.quiet: Callable[[Holding], None] = _ignored
        """Told when nothing of a holding waits or runs any more."""
        self._config = config
        self._clock = clock
        self._reception = reception
        self._gathering = gathering
        self._loop = asyncio.get_running_loop()
        self._lanes = Lanes(config.workers)
        self._threads = Threads(config.workers, "run")
        self._free = config.workers
        self._waiting: dict[str, list[tuple[Lane, Waiting]]] = {}
        self._single: Admitted | None = None
        """A short ask that came when nothing waited: it runs in the next turn without ever having
        stood in a lane, unless another one comes before."""
        self._ends: dict[str, float] = {}
        self._scheduled = False
        self._closing = False

    def __repr__(self) -> str:
        return f"<Serving {self.open} open | {self._lanes.queued_ms:.1f} ms queued>"

    def queue_ms(self, now: float) -> float:
        """Work admitted and not finished, less what is late anyway, shared by the workers."""
        queued_ms = self._lanes.queued_ms
        for end in self._ends.values():
            queued_ms += max(0.0, end - now) * 1e3
        return queued_ms / self._config.workers

    def _passes(self, ask: Ask, due: float, run_s: float) -> bool:
        now = self._clock.now()
        free_at = now if self._free else max(now, min(self._ends.values()))
        return self._lanes.passes(ask, free_at=free_at, due=due, run_s=run_s)

    def _within(self, ask: Ask) -> bool:
        before = self._lanes.before(ask)
        return before is not None and before.within

    def asked(self, asks: Asks, buffers: tuple[Bytes, ...], reply: str) -> None:
        """Admit or refuse each; what is admitted runs from the next turn on."""
        now, start = self._clock.now(), 0
        for ask in asks.items:
            end = start + len(ask.inputs)
            self.ask(ask, buffers[start:end], reply, now)
            start = end

    def ask(self, ask: Ask, buffers: tuple[Bytes, ...], reply: Where, now: float) -> None:
        """Admit or refuse one."""
        self._line_up()
        load = Load(self._lanes.rows, self.queue_ms(now), self._passes, self._within)
        admitted = self._reception.receive(ask, buffers, reply, now=now, load=load)
        if isinstance(admitted, Admitted):
            self._queue(admitted)
        else:
            self._gathering.add(reply, admitted)

    def cancel(self, ids: Sequence[str], reply: Where = "") -> None:
        """Take out those that wait; of equal ids only those asked from `reply`, if it is given."""
        self._line_up()
        for key in ids:
            for lane, waiting in tuple(self._waiting.get(key, ())):
                if reply in ("", waiting.reply) and self._lanes.cancel(lane, waiting):
                    self._taken(lane, waiting)
                    self._drop(lane.holding, waiting, "cancelled", "the caller went away")

    def schedule(self) -> None:
        """Have a turn soon."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def woken(self, holding: Holding) -> None:
        """It may run (again)."""
        self._lanes.wake(holding)
        self.schedule()

    def refuse_all(self, holding: Holding, reason: RefusalReason, detail: str) -> None:
        """Nobody should wait for it any more."""
        self._line_up()
        for lane, waiting in self._lanes.clear(holding):
            self._taken(lane, waiting)
            self._drop(holding, waiting, reason, detail)

    async def close(self) -> None:
        """Start nothing more, wait for what runs, refuse what waits, send the last replies."""
        self._closing = True
        self._line_up()
        await self._threads.close()
        for waiting in [lane for places in self._waiting.values() for lane, _ in places]:
            self.refuse_all(waiting.holding, "draining", "the node stops")
        self._gathering.flush()

    def _queue(self, admitted: Admitted) -> None:
        holding = admitted.holding
        self.open += 1
        holding.in_use += 1
        alone_ms = holding.forecast.run_ms(admitted.waiting.rows, INLINE_PERCENTILE)
        short = alone_ms < self._config.inline_below_ms
        if short and not self._lanes.rows and holding.free and not self._closing:
            self._single = admitted
        else:
            self._push(admitted.waiting, holding, admitted.tails, short=short)
        self.schedule()

    def _line_up(self) -> None:
        """The single ask is not alone any more: it waits in its lane like others."""
        admitted, self._single = self._single, None
        if admitted is not None:
            self._push(admitted.waiting, admitted.holding, admitted.tails, short=True)

    def _run_single(self, admitted: Admitted) -> None:
        """The short way, for an ask that is certainly still in time."""
        waiting, holding = admitted.waiting, admitted.holding
        run_s = holding.forecast.run_s(waiting.rows, waiting.ask.percentile)
        if not holding.free or self._clock.now() + run_s > waiting.due:
            self._line_up()
            return
        self._single = None
        outcome = self._run(holding, (waiting,))
        if isinstance(outcome, Ran):
            self._answer(holding, (waiting,), outcome)
        else:
            self._drop(holding, waiting, "run_failed", outcome.detail)

    def _push(self, waiting: Waiting, holding: Holding, tails: Shapes, *, short: bool) -> None:
        lane = self._lanes.push(waiting, holding, tails, short=short)
        self._waiting.setdefault(waiting.ask.id, []).append((lane, waiting))

    def _turn(self) -> None:
        """Start one batch, if one may start; then send what is ready.

        Counts as scheduled until then, so that its own replies ask for no turn more. Callers in
        this process may ask again from within the sending: that takes another turn.
        """
        if self._single is not None:
            self._run_single(self._single)
        lane = self._lanes.next(short_only=not self._free) if self._lanes.rows else None
        if lane is not None and not self._closing:
            self._start(lane)
        self._scheduled = False
        self._gathering.flush()
        if lane is not None and self._lanes.rows:
            self.schedule()

    def _start(self, lane: Lane) -> None:
        holding, now = lane.holding, self._clock.now()
        batch = self._lanes.take(lane, now, self._most_rows(holding))
        for waiting in batch.late:
            self._taken(lane, waiting)
            self._drop(holding, waiting, "deadline", "it could not finish by its deadline")
        rows = 0
        for waiting in batch.members:
            self._taken(lane, waiting)
            rows += waiting.rows
        if not rows:
            return
        long_ms = holding.forecast.run_ms(rows, INLINE_PERCENTILE)
        holding.busy = True
        if long_ms < self._config.inline_below_ms or not self._free:
            self._finished(lane, batch.members, self._run(holding, batch.members))
        else:
            self._ends[holding.id] = now + holding.forecast.run_s(rows, 50.0)
            self._free -= 1
            self._threads.submit(partial(self._run_away, lane, batch.members))

    def _most_rows(self, holding: Holding) -> int:
        """The largest batch; with every worker busy, the largest that may run on the loop."""
        most = holding.held.variant.max_batch
        if self._free:
            return most
        below, forecast = self._config.inline_below_ms, holding.forecast
        sizes = [n for n in forecast.profile.runs if forecast.run_ms(n, INLINE_PERCENTILE) < below]
        return min(most, max(sizes, default=1))

    def _run(self, holding: Holding, members: Sequence[Waiting]) -> Ran | Failed:
        if holding.runtime is None:
            return Failed("it is not loaded")
        return executor.run(holding.runtime, holding.held.task, members, self._clock.now)

    def _run_away(self, lane: Lane, members: Sequence[Waiting]) -> None:
        """On a worker thread."""
        outcome = self._run(lane.holding, members)
        self._loop.call_soon_threadsafe(self._returned, lane, members, outcome)

    def _returned(self, lane: Lane, members: Sequence[Waiting], outcome: Ran | Failed) -> None:
        self._free += 1
        del self._ends[lane.holding.id]
        self._finished(lane, members, outcome)
        self.schedule()

    def _finished(self, lane: Lane, members: Sequence[Waiting], outcome: Ran | Failed) -> None:
        holding = lane.holding
        holding.busy = False
        match outcome:
            case Ran():
                self._answer(holding, members, outcome)
            case Failed(detail) if len(members) == 1:
                self._drop(holding, members[0], "run_failed", detail)
            case Failed():
                self._each_alone(lane, members)
        self._lanes.wake(holding)

    def _each_alone(self, lane: Lane, members: Sequence[Waiting]) -> None:
        """One bad input must not fail the asks that happened to run with it."""
        _, tails, short = lane.key
        for waiting in members:
            waiting.alone = True
            self._push(waiting, lane.holding, tails, short=short)

    def _answer(self, holding: Holding, members: Sequence[Waiting], ran: Ran) -> None:
        now = self._clock.now()
        rows = sum([waiting.rows for waiting in members])
        holding.forecast.observe(rows, ran.run_ms, now)
        holding.used_at = now
        facts = Facts(ran.run_ms, rows, self.queue_ms(now), now)
        for waiting, (tensors, buffers) in zip(members, ran.outputs, strict=True):
            answer = answer_to(waiting, tensors, self._config, holding.held.variant, facts)
            self._gathering.add(waiting.reply, answer, buffers)
            self._closed(holding)

    def _taken(self, lane: Lane, waiting: Waiting) -> None:
        """It waits no more."""
        key = waiting.ask.id
        places = self._waiting[key]
        if len(places) == 1:
            del self._waiting[key]
        else:
            places.remove((lane, waiting))

    def _drop(self, holding: Holding, waiting: Waiting, reason: RefusalReason, detail: str) -> None:
        queue_ms = self.queue_ms(self._clock.now())
        self._gathering.add(waiting.reply, refusal(waiting.ask, reason, detail, queue_ms))
        self._closed(holding)

    def _closed(self, holding: Holding) -> None:
        """It has its reply."""
        self.open -= 1
        holding.in_use -= 1
        if not holding.in_use:
            self.quiet(holding)


def _ignored(_: object) -> None:
    """Nobody listens yet."""
