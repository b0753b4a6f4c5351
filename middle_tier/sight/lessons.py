"""Pure. Answers that wait to be learnt from: links and run times, many at a time.

What the next decision must know of an answer (the queue, what is warm) is not here: the view takes
it at once. Learning from many costs little more than from one, and answers come in crowds.
"""

from math import inf

from middle_tier.scheduler.table import Table
from middle_tier.sight.news import News
from middle_tier.sight.roll import Seen
from protocol.adverts import Capacity
from protocol.messages import Answer

OFTEN_S = 0.002
"""An answer is learnt from at once, unless another was less than this before ..."""

AT_ONCE = 64
"""... and until so many have come, or the table is read: no decision does without."""


class Lessons:
    """The mutable state is the answers not learnt from, and who has samples of its link."""

    def __init__(self, table: Table, news: News) -> None:
        self._table = table
        self._news = news
        self._answers: list[tuple[Seen[Capacity], Answer, float, float]] = []
        self._sampled: set[Seen[Capacity]] = set()
        self._learnt_s = -inf
        table.late = self.learn

    def __repr__(self) -> str:
        return f"<Lessons {len(self._answers)} waiting | {len(self._sampled)} links sampled>"

    def add(self, seen: Seen[Capacity], answer: Answer, link_ms: float, now: float) -> None:
        """Take an answer, of whose time `link_ms` was the way there and back."""
        self._answers.append((seen, answer, link_ms, now))
        if now - self._learnt_s >= OFTEN_S or len(self._answers) >= AT_ONCE:
            self._learnt_s = now
            self.learn()

    def learn(self) -> None:
        """Learn from all that wait."""
        if not self._answers:
            return
        answers, self._answers = self._answers, []
        for seen, _, link_ms, at in answers:
            seen.samples.add(link_ms, at)
        self._news.ran([(seen.members[""], answer) for seen, answer, _, _ in answers])
        fresh = {seen for seen, _, _, _ in answers}
        self._sampled |= fresh
        for seen in fresh:
            self.relink(seen)

    def relink(self, seen: Seen[Capacity]) -> None:
        """See that the table has a node's link as it is believed to be now."""
        member = seen.members[""]
        link, mbps = seen.samples.believed(seen.advert.link, member.link), seen.advert.mbps
        if (link is not member.link and link.ms != member.link.ms) or mbps != member.mbps:
            member.link, member.mbps = link, mbps
            self._table.sums.relink(member)

    def expire(self, now: float) -> None:
        """Forget samples that are too old."""
        for seen in [seen for seen in self._sampled if seen.samples.expire(now)]:
            if not seen.samples:
                self._sampled.discard(seen)
            self.relink(seen)

    def forget(self, seen: Seen[Capacity]) -> None:
        self._sampled.discard(seen)
