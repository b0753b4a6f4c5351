"""Pure. Answers that wait to be learnt from: links and run times, many at a time.

What the next decision must know of an answer (the queue, what is warm) is not here: the view takes
it at once. Learning from many costs little more than from one, and answers come in crowds.
"""

from math import inf

from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Candidate
from middle_tier.sight.agenda import Agenda
from middle_tier.sight.roll import Seen
from middle_tier.sight.runtimes import RunTimes
from middle_tier.sight.speeds import FURTHEST, tells
from protocol.adverts import Capacity
from protocol.messages import Answer

OFTEN_S = 0.02
"""An answer is learnt from at once, unless another was less than this before ..."""

AT_ONCE = 64
"""... and until so many have come, or the table is read: no decision does without."""


class Lessons:
    """The mutable state is the answers not learnt from, and who has samples of its link."""

    def __init__(self, table: Table, runs: RunTimes) -> None:
        self._table = table
        self._runs = runs
        self._answers: list[tuple[Seen[Capacity], Candidate, Answer, float, float]] = []
        self._sampled: set[Seen[Capacity]] = set()
        self._ageing: Agenda[Seen[Capacity]] = Agenda()
        self._learnt_s = -inf
        table.late = self.learn

    def __repr__(self) -> str:
        return f"<Lessons {len(self._answers)} waiting | {len(self._sampled)} links sampled>"

    def add(
        self, seen: Seen[Capacity], candidate: Candidate, answer: Answer, *,
        elapsed_ms: float, now: float,
    ) -> None:  # fmt: skip
        """Take an answer that came `elapsed_ms` after it was asked for."""
        self._answers.append((seen, candidate, answer, elapsed_ms - answer.held_ms, now))
        if now - self._learnt_s >= OFTEN_S or len(self._answers) >= AT_ONCE:
            self._learnt_s = now
            self.learn()

    def learn(self) -> None:
        """Learn from all that wait."""
        if not self._answers:
            return
        answers, self._answers = self._answers, []
        last: tuple[Seen[Capacity], float] | None = None
        for seen, candidate, answer, way_ms, at in answers:
            if last != (seen, answer.run_ms):  # else they ran together, and came together
                _travelled(seen, candidate, way_ms, at)
                last = seen, answer.run_ms
        self._runs.ran([(seen.members[""], answer, at) for seen, _, answer, _, at in answers])
        fresh = {each[0] for each in answers}
        for seen in fresh:
            if seen not in self._sampled:
                self._sampled.add(seen)
                self._watch(seen)
            self.relink(seen)

    def relink(self, seen: Seen[Capacity]) -> None:
        """See that the table has a node's link as it is believed to be now."""
        member = seen.members[""]
        link = seen.samples.believed(seen.advert.link, member.link)
        mbps = seen.speed.believed(seen.advert.mbps, member.mbps)
        if (link is not member.link and link.ms != member.link.ms) or mbps != member.mbps:
            member.link, member.mbps = link, mbps
            self._table.sums.relink(member)

    def expire(self, now: float) -> None:
        """Forget samples that are too old, and corrections that nobody confirms."""
        self._runs.fade(now)
        self._runs.tell()
        for seen in self._ageing.due(now):
            if seen not in self._sampled:
                continue
            aged = seen.samples.expire(now) | seen.speed.expire(now)
            if seen.samples or seen.speed:
                self._watch(seen)
            else:
                self._sampled.discard(seen)
            if aged:
                self.relink(seen)

    def _watch(self, seen: Seen[Capacity]) -> None:
        self._ageing.add(min(seen.samples.until_s, seen.speed.until_s), seen)

    def forget(self, seen: Seen[Capacity]) -> None:
        self._sampled.discard(seen)


def _travelled(seen: Seen[Capacity], candidate: Candidate, way_ms: float, now: float) -> None:
    """Learn from one way there and back: of the link, or where bytes were most of it, of speed."""
    transfer_ms, link_ms = candidate.transfer_ms, seen.members[""].link.ms[0]
    if candidate.mbps <= 0 or not tells(link_ms, transfer_ms):
        seen.samples.add(way_ms - transfer_ms, now)
        return
    took_ms = max(way_ms - link_ms, transfer_ms / FURTHEST)
    seen.speed.add(candidate.mbps * transfer_ms / took_ms, seen.advert.mbps, now)
