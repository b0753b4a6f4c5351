"""Pure. What one piece of news changes about one member of the table."""

from collections.abc import Iterable, Sequence
from math import inf

from middle_tier.scheduler.members import DUES, Member, Pool, due_class
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Candidate
from middle_tier.sight.offers import Kit, kit_of
from protocol.adverts import Loaded, VariantInfo
from protocol.messages import Answer, Refusal, RefusalReason

BARRED_S: dict[RefusalReason, float] = {
    "memory": 2.0,
    "load_failed": 30.0,
    "unknown_variant": 30.0,
    "unlisted_runtime": 30.0,
    "no_candidate": 1.0,
}
"""How long a member is not asked again for a variant that it refused for this reason.

`run_failed` is not here: one tenant's bad input must not take a variant from the others.
"""


class News:
    """Applies news to members; keeps the table told."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kit: tuple[Sequence[VariantInfo], Kit] = ((), ())

    def kit(self, infos: Sequence[VariantInfo]) -> Kit:
        """Return `kit_of`, remembering the last: nodes of one class come in rows."""
        if self._kit[0] is not infos:
            self._kit = (infos, kit_of(infos))
        return self._kit[1]

    def restarted(self, member: Member) -> None:
        """Forget what a process that is no more had in hand."""
        member.out, member.own_ms = 0, 0.0
        member.own_by_due = [0.0] * DUES
        member.barred.clear()
        self._table.set_loaded(member, (), {})
        self._table.sums.touch(member)

    def reported(self, member: Member, queue_ms: float, now: float) -> None:
        """Take the queue that a member says it has now."""
        member.free_at_ms = now * 1000.0 + queue_ms
        self._table.sums.touch(member)

    def loaded(self, member: Member, loaded: Iterable[Loaded], now: float) -> None:
        """Take what a node says it has loaded and is loading.

        A load that we have caused ourselves by asking stays noted until it should be done.
        """
        if member.pool is None:
            return
        now_ms = now * 1000.0
        warm = {entry.variant for entry in loaded if entry.state == "warm"}
        loading = {
            name: ready_at_ms
            for name, ready_at_ms in member.loading.items()
            if member.out and ready_at_ms > now_ms and name not in warm
        }
        for entry in loaded:
            if entry.state == "loading" and entry.variant in member.pool.index:
                known = member.loading.get(entry.variant)
                if known is None:  # a node loads one variant after the other
                    begins_ms = max(now_ms, *loading.values()) if loading else now_ms
                    known = begins_ms + _load_ms(member.pool, entry.variant)
                loading[entry.variant] = known
        self._table.set_loaded(member, warm, loading)

    def sent(self, member: Member, candidate: Candidate, now: float) -> None:
        """Count what was sent; and that a cold variant is being loaded from now on.

        What is expected to be late waits there for all that is not: it is no queue for others.
        """
        member.out += 1
        if candidate.due_ms != inf:
            member.own_ms += candidate.marginal_ms
            member.own_by_due[due_class(candidate.due_ms)] += candidate.marginal_ms
        self._table.sums.touch(member)
        pool = member.pool
        if candidate.warm or pool is None or candidate.variant in member.loading:
            return
        ready_at_ms = now * 1000.0 + candidate.queue_ms + candidate.cold_ms
        loading = {**member.loading, candidate.variant: ready_at_ms}
        self._table.set_loaded(member, _held(member, pool), loading)

    def finished(self, member: Member, candidate: Candidate) -> None:
        """Take what was sent off the count, whatever came of it."""
        _uncount(member, candidate)
        self._table.sums.touch(member)

    def answered(self, member: Member, candidate: Candidate, answer: Answer, now: float) -> None:
        """Take from an answer what the next decision must know: the queue, what is warm."""
        _uncount(member, candidate)
        self.reported(member, answer.queue_ms, now)
        pool = member.pool
        if pool is None:
            return
        at = pool.index.get(answer.variant)
        if at is not None and pool.first + at not in member.warm:
            loading = {k: v for k, v in member.loading.items() if k != answer.variant}
            self._table.set_loaded(member, {*_held(member, pool), answer.variant}, loading)

    def refused(self, member: Member, candidate: Candidate, refusal: Refusal, now: float) -> None:
        """Learn from a refusal."""
        if refusal.reason in ("deadline", "queue_full") and candidate.scope == "node":
            self.reported(member, refusal.queue_ms, now)
        barred_s = BARRED_S.get(refusal.reason)
        if barred_s is not None:
            member.barred[candidate.variant] = (now + barred_s) * 1000.0
            if candidate.variant in member.loading and member.pool is not None:
                loading = {k: v for k, v in member.loading.items() if k != candidate.variant}
                self._table.set_loaded(member, _held(member, member.pool), loading)


def _uncount(member: Member, candidate: Candidate) -> None:
    member.out = max(0, member.out - 1)
    if candidate.due_ms == inf:
        return
    member.own_ms = max(0.0, member.own_ms - candidate.marginal_ms)
    by_due, at = member.own_by_due, due_class(candidate.due_ms)
    by_due[at] = max(0.0, by_due[at] - candidate.marginal_ms)


def _held(member: Member, pool: Pool) -> set[str]:
    return {pool.infos[row - pool.first].variant for row in member.warm}


def _load_ms(pool: Pool, variant: str) -> float:
    return pool.load_ms[pool.index[variant]]
