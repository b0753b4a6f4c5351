"""Pure. The site as adverts, summaries and answers describe it. Choosing is the scheduler's.

Time is handed in (`now`, seconds on any one clock); nothing here waits or sends.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from middle_tier.scheduler.groups import Groups, drop
from middle_tier.scheduler.members import Member
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Candidate
from middle_tier.sight.lessons import Lessons
from middle_tier.sight.liveness import Health
from middle_tier.sight.news import News
from middle_tier.sight.offers import node_key, offer_key, offer_name, way
from middle_tier.sight.roll import Roll, Seen, state_of, status_of
from middle_tier.sight.runtimes import RunTimes
from middle_tier.sight.tasks import Tasks
from protocol.adverts import Capacity, Description, NodeStatus, SiteCapacity, VariantInfo
from protocol.bundles import Task
from protocol.errors import UnknownError
from protocol.messages import Answer, Refusal
from protocol.types import Tier


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """A site below (or beside) as this one sees it."""

    summary: SiteCapacity
    health: Health
    silent_s: float


class View:
    """What one router knows: nodes of its site, and sites by their summaries."""

    def __init__(self, site: str, *, tier: Tier = "middle") -> None:
        self.site = site
        self.tier = tier
        self.table = Table()
        self._news = News(self.table)
        self._nodes: Roll[Capacity] = Roll()
        self._sites: Roll[SiteCapacity] = Roll()
        self._tasks = Tasks()
        self._groups: dict[str, Groups] = {}
        self.tasks: Mapping[str, Task] = self._tasks.known
        self._runs = RunTimes(self.table)
        self._lessons = Lessons(self.table, self._runs)
        self.answered: Callable[[], None] = lambda: None
        """Called after an answer, of which the rows are yet to be told (`Groups.renew`)."""

    def __repr__(self) -> str:
        nodes, sites = len(self._nodes.seen), len(self._sites.seen)
        return f"<View of {self.site} | {nodes} nodes | {sites} sites | {len(self.tasks)} tasks>"

    # -- what nodes say ------------------------------------------------------------------------

    def advert(self, advert: Capacity, now: float) -> bool:
        """Take a node's advert; return whether its description is wanted."""
        key = (advert.site, advert.node)
        seen = self._nodes.seen.get(key)
        if seen is None:
            member = Member(advert.site, advert.node)
            seen = Seen(advert, now, {"": member})
            self._nodes.enter(key, seen)
        else:
            member = seen.members[""]
            if seen.advert.boot != advert.boot:
                seen.description = None
                self._news.restarted(member)
            elif advert.sequence < seen.advert.sequence:
                return False
        seen.advert, seen.heard_s = advert, now
        seen.lost = seen.drains = False
        self._place(seen, now)
        self._news.reported(member, advert.queue_ms, now)
        self._news.loaded(member, advert.loaded, now)
        self._lessons.relink(seen)
        return seen.description is None or seen.description.revision != advert.revision

    def describe(self, description: Description, now: float) -> None:
        """Take the slow-changing part of a node; nothing, when no advert has named it."""
        seen = self._nodes.seen.get((description.site, description.node))
        if seen is None:
            return
        seen.description = description
        self._add_tasks((description.site, description.node), description.tasks)
        if not self._place(seen, now):
            member = seen.members[""]
            self.table.learn(member, description.variants)
            self._news.loaded(member, seen.advert.loaded, now)
        self._lessons.relink(seen)

    def _place(self, seen: Seen[Capacity], now: float) -> bool:
        """See that a node stands in the pool that its description and state call for.

        Return whether it has come to another, with all that it says of itself.
        """
        description, member = seen.description, seen.members[""]
        if description is None:
            return False
        kit = self._news.kit(description.variants)
        key = node_key(seen.advert, state_of(seen, now), kit)
        if member.pool is not None and member.pool.key == key:
            return False
        self.table.join(member, key, description.variants, now_ms=now * 1000.0)
        self._news.loaded(member, seen.advert.loaded, now)
        return True

    # -- what sites say ------------------------------------------------------------------------

    def summary(self, summary: SiteCapacity, now: float) -> None:
        """Take the summary of a site below or beside: its offers become groups."""
        key = (summary.site, summary.site)
        seen = self._sites.seen.get(key)
        if seen is None:
            seen = Seen(summary, now, {})
            self._sites.enter(key, seen)
        elif seen.advert.boot == summary.boot and summary.sequence < seen.advert.sequence:
            return
        seen.advert, seen.heard_s, seen.lost = summary, now, False
        self._add_tasks(("", summary.site), summary.tasks)
        self._offer(seen, now)

    def _offer(self, seen: Seen[SiteCapacity], now: float) -> None:
        """See that each line of a site's summary stands in its pool, and no other."""
        summary, state = seen.advert, state_of(seen, now)
        offers = {offer_name(offer): offer for offer in summary.offers}
        for name in seen.members.keys() - offers.keys():
            self.table.forget(seen.members.pop(name))
        for name, offer in offers.items():
            member = seen.members.get(name)
            if member is None:
                member = seen.members[name] = Member(summary.site, summary.site)
            key = offer_key(summary.site, offer, state)
            moved = member.pool is None or member.pool.key != key or member.count != offer.nodes
            if moved:
                self.table.leave(member)
                member.count = max(1, offer.nodes)
                self.table.join(member, key, (offer.info,), now_ms=now * 1000.0)
                self.table.set_loaded(member, (offer.info.variant,) if offer.warm else (), {})
            else:
                self.table.learn(member, (offer.info,))
            self._news.reported(member, offer.queue_ms, now)
            link, mbps = way(summary, offer)
            if moved or link.ms != member.link.ms or mbps != member.mbps:
                member.link, member.mbps = link, mbps
                self.table.sums.relink(member)

    # -- silence -------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Notice silence, and forget what is old. About once a second."""
        for key, seen, forget in self._nodes.overdue(now):
            if forget:
                self._tasks.forget(key)
                self.table.forget(seen.members[""])
                self._lessons.forget(seen)
            else:
                self._place(seen, now)
        for _, site, forget in self._sites.overdue(now):
            if forget:
                self._tasks.forget(("", site.advert.site))
                for member in site.members.values():
                    self.table.forget(member)
            else:
                self._offer(site, now)
        self._lessons.expire(now)
        self.table.reap(now * 1000.0)
        drop(self._groups, self.table, self.tasks)
        for groups in self._groups.values():
            groups.freshen()

    def deaf(self, seconds: float) -> None:
        """Nothing could be heard for so long, as this process stood still: nobody was silent."""
        self._nodes.forgive(seconds)
        self._sites.forgive(seconds)

    def lost(self, site: str, node: str, now: float) -> None:
        """Take it that nobody listens there: suspect at once, until it speaks again."""
        seen = self._nodes.seen.get((site, node))
        if seen is not None:
            seen.lost = True
            self._place(seen, now)
        if (below := self._sites.seen.get((site, node))) is not None:
            below.lost = True
            self._offer(below, now)

    # -- what came of candidates -----------------------------------------------------------------

    def sent(self, candidate: Candidate, rows: int, now: float) -> None:
        """Note that a candidate was asked. Exactly one of the next three follows each."""
        del rows  # in `marginal_ms` already
        member = self._member(candidate)
        if member is not None:
            self._news.sent(member, candidate, now)

    def observed(self, candidate: Candidate, answer: Answer, elapsed_ms: float, now: float) -> None:
        """Learn from an answer: queue, link, run time, what is loaded."""
        if candidate.scope == "site":
            self.abandoned(candidate, 0, now)
            return  # the site learns of its own nodes, and says so in its next summary
        seen = self._nodes.seen.get((candidate.site, candidate.node))
        if seen is None:
            return
        self._runs.loaded(seen.members[""], candidate, answer)
        self._news.answered(seen.members[""], candidate, answer, now)
        seen.heard_s = now
        if seen.lost:
            seen.lost = False
            self._place(seen, now)
        self._lessons.add(seen, candidate, answer, elapsed_ms=elapsed_ms, now=now)
        self.answered()

    def refused(self, candidate: Candidate, refusal: Refusal, now: float) -> None:
        """Learn from a refusal: how long the queue is, and what not to ask again for a while."""
        member = self._member(candidate)
        if member is None:
            return
        self._news.finished(member, candidate)
        self._news.refused(member, candidate, refusal, now)
        if refusal.reason == "unreachable":
            self.lost(candidate.site, candidate.node, now)
        elif refusal.reason == "draining" and candidate.scope == "node":
            seen = self._nodes.seen[candidate.site, candidate.node]
            seen.drains = True
            self._place(seen, now)

    def abandoned(self, candidate: Candidate, rows: int, now: float) -> None:
        """Note that nobody waits for a candidate any more: cancelled, given up, or lost."""
        del rows, now
        member = self._member(candidate)
        if member is not None:
            self._news.finished(member, candidate)

    def _member(self, candidate: Candidate) -> Member | None:
        key = (candidate.site, candidate.node)
        if candidate.scope == "node":
            seen = self._nodes.seen.get(key)
            return None if seen is None else seen.members[""]
        site = self._sites.seen.get(key)
        if site is None:
            return None
        return next(
            (
                member
                for member in site.members.values()
                if member.pool is not None
                and member.pool.key.hardware == candidate.hardware
                and member.pool.key.tier == candidate.tier
                and member.pool.infos[0].variant == candidate.variant
                and bool(member.warm) == candidate.warm
            ),
            None,
        )

    # -- what is known -------------------------------------------------------------------------

    def groups(self, task: str) -> Groups:
        """Return a task's groups, for the planner; raise `UnknownError` when there are none."""
        groups = self._groups.get(task)
        if groups is None:
            raise UnknownError(
                f"no task {task!r} here", "`tiermesh tasks list` names those there are"
            )
        return groups

    def variants(self, task: str) -> tuple[VariantInfo, ...]:
        """Return every variant of a task that somebody here can run."""
        found = {info.variant: info for info in self._infos() if info.task == task}
        return tuple(found[name] for name in sorted(found))

    def _infos(self) -> Iterator[VariantInfo]:
        for pool in self.table.by_key.values():
            if pool.members:
                yield from pool.infos

    def nodes(self, now: float) -> tuple[NodeStatus, ...]:
        """Return every node heard of, for people."""
        self.table.settle()
        return tuple(
            status_of(seen, now, self._runs.seen(seen.members[""]))
            for _, seen in sorted(self._nodes.seen.items())
        )

    def sites(self, now: float) -> tuple[SiteStatus, ...]:
        """Return every site below or beside that was heard of, for people."""
        return tuple(
            SiteStatus(seen.advert, seen.health(now), seen.silent_s(now))
            for _, seen in sorted(self._sites.seen.items())
        )

    def _add_tasks(self, teller: tuple[str, str], tasks: tuple[Task, ...]) -> None:
        self._tasks.say(teller, tasks)
        for task in tasks:
            if task.name not in self._groups:
                self.table.shape.setdefault(task.name, 0)
                self._groups[task.name] = Groups(task.name, self.table, self.tier)
