"""Whether an ask may join the queue of this node, and if not, why. The rule is admission's."""

from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple

from edge_agent.admission import finish_ms
from edge_agent.config import AgentConfig
from edge_agent.near import Where
from edge_agent.queue.batching import TYPICAL, Waiting
from edge_agent.queue.intake import Shapes
from edge_agent.stock.holdings import Holding
from edge_agent.stock.warming import Warming
from protocol.codec import Bytes
from protocol.messages import Ask, Refusal, RefusalReason

SPARE = 1.0
"""What may wait beyond the limit of the queue, in limits: only of tenants within their share."""


BEHIND_MEASURING = "it would be late behind a run that measures the variant"


class Admitted(NamedTuple):
    """An ask that will be run, unless it is cancelled or becomes too late."""

    waiting: Waiting
    holding: Holding
    tails: Shapes


class Load(NamedTuple):
    """What stands before a new ask."""

    rows: int
    queue_ms: float
    passes: Callable[[Ask, float, float], bool]
    """Whether work makes its `due` in its turn, and takes nobody's; asked only where it is late
    behind all that waits."""
    within: Callable[[Ask], bool]
    """Whether others fill the queue, and it is within its tenant's share; asked only of a full
    one."""


class Reception:
    """Admits or refuses, one ask at a time; begins the load of a variant that is cold."""

    def __init__(
        self,
        config: AgentConfig,
        holdings: Mapping[str, Holding],
        warming: Warming,
        unable: Mapping[str, str],
    ) -> None:
        self.draining = False
        self._config = config
        self._holdings = holdings
        self._warming = warming
        self._unable = unable

    def receive(
        self, ask: Ask, buffers: tuple[Bytes, ...], reply: Where, *, now: float, load: Load
    ) -> Admitted | Refusal:
        """Admit it or say why not."""
        self._warming.measuring.asked(now)
        holding = self._holdings.get(ask.variant)
        if holding is None or holding.leaving or self.draining:
            return self._elsewhere(ask, load)
        fitted = holding.signature.fit(ask.inputs, buffers)
        if isinstance(fitted, str):
            return refusal(ask, "bad_tensor", fitted, load.queue_ms)
        if load.rows and self._full(ask, load, fitted.rows):
            return refusal(ask, "queue_full", f"{load.rows} rows wait", load.queue_ms)
        holding.forecast.forget(now)
        cold_ms, measuring_ms = self._warming.cold_ms(holding, now), holding.measuring_ms(now)
        queue_ms = load.queue_ms + measuring_ms
        run_ms = holding.forecast.run_ms(fitted.rows, ask.percentile)
        finish = finish_ms(link=0.0, transfer=0.0, queue=queue_ms, cold=cold_ms, run=run_ms)
        due_ms = min(ask.budget_ms, ask.deadline_ms)
        if finish > due_ms:
            run_s = holding.forecast.run_s(fitted.rows, TYPICAL if ask.late else ask.percentile)
            waits = cold_ms > 0.0 or measuring_ms > 0.0
            if waits or not load.passes(ask, now + due_ms / 1e3, run_s):
                if not ask.late or finish > ask.deadline_ms:
                    why = BEHIND_MEASURING if measuring_ms > 0.0 else "it would be late"
                    return refusal(ask, "deadline", why, queue_ms, finish)
                due_ms = inf
        if holding.state == "cold" and (refused := self._begin(holding, ask, now, load)):
            return refused
        waiting = Waiting(
            ask, fitted.buffers, reply, fitted.rows, arrived=now, due=now + due_ms / 1e3,
            deadline=now + ask.deadline_ms / 1e3, predicted_ms=min(finish, due_ms),
        )  # fmt: skip
        waiting.cold = cold_ms > 0.0
        return Admitted(waiting, holding, fitted.tails)

    def _full(self, ask: Ask, load: Load, rows: int) -> bool:
        """Whether so many more are too many; others' floods leave some room for each tenant."""
        over = load.rows + rows - self._config.queue_limit
        return over > 0 and (over > SPARE * self._config.queue_limit or not load.within(ask))

    def _begin(self, holding: Holding, ask: Ask, now: float, load: Load) -> Refusal | None:
        """Have it loaded."""
        if holding.retry_at > now:
            return refusal(ask, "load_failed", holding.fault, load.queue_ms)
        if not self._warming.want(holding):
            return refusal(ask, "memory", "no room beside what is in use", load.queue_ms)
        return None

    def _elsewhere(self, ask: Ask, load: Load) -> Refusal:
        """Nothing is wrong with it, but not here."""
        if self.draining:
            return refusal(ask, "draining", "the node is draining", load.queue_ms)
        if ask.variant in self._holdings:
            return refusal(ask, "queue_full", "it is being replaced", load.queue_ms)
        why = self._unable.get(ask.variant)
        if why is not None:
            return refusal(ask, "unlisted_runtime", why, load.queue_ms)
        return refusal(ask, "unknown_variant", "it is not held here", load.queue_ms)


def refusal(
    ask: Ask,
    reason: RefusalReason,
    detail: str,
    queue_ms: float = 0.0,
    finish: float | None = None,
) -> Refusal:
    """Why it is not run."""
    return Refusal(id=ask.id, reason=reason, detail=detail, queue_ms=queue_ms, finish_ms=finish)
