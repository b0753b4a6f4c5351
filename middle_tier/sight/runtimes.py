"""Pure. What answers teach of run times and loads: of a class, and of each node of it.

expected = the profile's median x the class's factor x the node's pace x the node's factor for the
variant. Averages of observed over expected move the factors; a streak of surprises moves the pace,
or the whole class, at once; and how the rest scatters is the distribution that is predicted with.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from weakref import WeakKeyDictionary

import numpy as np

from middle_tier.scheduler.members import Member, Pool
from middle_tier.scheduler.runs import run_ms
from middle_tier.scheduler.table import Table
from middle_tier.scheduler.types import Candidate
from middle_tier.sight.agenda import Agenda
from middle_tier.sight.corrections import (
    CLASS_SHARE,
    CLASS_STREAK,
    CLASS_WITNESSES,
    LEAST,
    MOST,
    OWN_SHARE,
    OWN_STREAK,
    SHORTEST_MS,
    SURPRISE,
    Streak,
    clamped,
    corrected,
    faded,
)
from middle_tier.sight.spread import Spread
from protocol.adverts import RunsSeen
from protocol.messages import Answer

FADE_S = 30.0
"""Silence after which a node's corrections go half the way back: it may be well again, and only a
query that is sent there could show it."""

TIMER_MS = 0.001
"""What a run takes at the least, for people."""

LOAD_SHARE = 0.3
"""Weight of a new load in what loading takes."""


HELD = 64
"""Nodes of a class whose surprises are held back."""

SHOWN = 32
"""Answers of a node and variant that people are shown the quantiles of."""

SHOWN_S = 600.0
"""How long after its last answer a node's are kept for that."""


Ran = tuple[Member, Answer, float]
"""Who has answered, what, and when."""

Row = tuple[Member, str, list[Answer], float]
"""Who has run a variant several times in a row, and when it was answered last."""


@dataclass(slots=True)
class Taught:
    """What is kept of a pool or a member beside the table."""

    heard_s: float
    streak: Streak = field(default_factory=Streak)
    spreads: dict[str, tuple[int, Spread]] = field(default_factory=dict)
    """Of a pool: by variant, while its profile is the one with this identity."""
    observed: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    """Of a member: its last runs by variant, and the rows of each."""
    answered_s: float = 0.0
    held: dict[Member, list[tuple[int, float]]] = field(default_factory=dict)
    """Of a pool: surprises that are not yet known to be scatter."""


class RunTimes:
    """The mutable state is what is kept of pools and members that have answered."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._classes: WeakKeyDictionary[Pool, Taught] = WeakKeyDictionary()
        self._scattered: set[tuple[Pool, str]] = set()
        """Who has answered since the rows were told of how runs scatter."""
        self._members: WeakKeyDictionary[Member, Taught] = WeakKeyDictionary()
        self._fading: Agenda[Member] = Agenda()

    def __repr__(self) -> str:
        return f"<RunTimes of {len(self._classes)} classes | {len(self._members)} members>"

    def ran(self, runs: Sequence[Ran]) -> None:
        """Learn from answers, each with when it came, how long runs take."""
        changed: set[tuple[Pool, str]] = set()
        rows = _in_rows(runs) if len(runs) > 1 else _alone(runs)
        for member, variant, answers, now in rows:
            pool = member.pool
            if pool is not None and variant in pool.index:
                self._learn(pool, member, answers, now)
                changed.add((pool, variant))
        for pool, variant in changed:
            self._table.sums.sum_factors(pool, variant)

    def _learn(self, pool: Pool, member: Member, answers: Sequence[Answer], now: float) -> None:
        """Learn from runs of one variant, the last of which was answered now.

        Those that ran in one batch are one run, unless it was a surprise.
        """
        variant = answers[0].variant
        at, one, all_ = pool.index[variant], self._member(member, now), self._class(pool, now)
        scatters = self._spread(all_, pool, at).add
        observed = one.observed.get(variant)
        if observed is None:
            observed = one.observed[variant] = deque(maxlen=SHOWN)
        last_ms, ratio = -1.0, 1.0
        for answer in answers:
            observed.append((answer.run_ms, answer.batch))
            if answer.run_ms == last_ms:
                scatters(ratio)
                continue
            ratio = self._correct(pool, member, at, answer)
            surprising = ratio > SURPRISE or ratio * SURPRISE < 1.0
            if surprising or one.streak.count or all_.streak.count or member in all_.held:
                self._judge(pool, member, (at, ratio))
            else:  # as nearly always
                scatters(ratio)
                last_ms = answer.run_ms

    def _correct(self, pool: Pool, member: Member, at: int, answer: Answer) -> float:
        """Move the factors by one run; return what it took over what was expected of it."""
        column, row, many = self._table.columns.factor, pool.first + at, len(pool.members) > 1
        usual, typical = column.item(row), pool.typical_ms(at, answer.batch)
        own: float = usual * member.pace
        if member.factors:
            own *= member.factors.get(answer.variant, 1.0)
        # A short run says that it is as its profile has it: what was learnt of a stall goes again.
        ratio: float = max(answer.run_ms, SHORTEST_MS) / (max(typical, SHORTEST_MS) * own)
        # What is the node's own is not its class's.
        factor = clamped(usual * ratio ** (CLASS_SHARE if many else OWN_SHARE))
        column[row] = column[row + pool.size] = factor
        if many:
            own = corrected(own, answer.run_ms, typical, OWN_SHARE)
            member.factors[answer.variant] = own / (factor * member.pace)
        return ratio

    def _judge(self, pool: Pool, member: Member, run: tuple[int, float]) -> None:
        """Correct at once what has plainly changed. The rest is scatter.

        A surprise is held back until the next answers show which of the two it was.
        """
        one, all_ = self._members[member], self._classes[pool]
        others, ratio = len(pool.members), run[1]
        witnesses = min(CLASS_WITNESSES, others)
        shift = all_.streak.add(ratio, member, length=CLASS_STREAK, witnesses=witnesses)
        own = one.streak.add(ratio, None, length=OWN_STREAK)
        if shift is not None and others > 1:
            self._table.sums.shift_class(pool, shift, LEAST, MOST)
            all_.held.clear()
        elif own is not None:
            self._change(pool, member, own ** (1.0 - OWN_SHARE))
            all_.held.pop(member, None)
        else:
            held = all_.held.setdefault(member, [])
            held.append(run)
            if not one.streak.count or len(held) > OWN_STREAK or len(all_.held) > HELD:
                del all_.held[member]
                for at, each in held:
                    self._spread(all_, pool, at).add(each)

    def _change(self, pool: Pool, member: Member, by: float) -> None:
        if len(pool.members) == 1:
            self._table.sums.shift_class(pool, by, LEAST, MOST)
        else:
            self._table.sums.set_pace(member, clamped(member.pace * by))

    def _spread(self, taught: Taught, pool: Pool, at: int) -> Spread:
        """Where what is scatter goes; the rows are told of it in time."""
        info, spreads = pool.infos[at], taught.spreads
        profile, variant = info.profile, info.variant
        known = spreads.get(variant)
        if known is None or known[0] != id(profile):
            known = spreads[variant] = id(profile), Spread()
        self._scattered.add((pool, variant))
        return known[1]

    def tell(self) -> None:
        """Have the rows say how runs scatter by now: all at once, as it is dear."""
        scattered, self._scattered = self._scattered, set()
        found: list[tuple[Pool, int, Sequence[float]]] = []
        for pool, variant in scattered:
            at = pool.index[variant]
            profile, (known, spread) = pool.infos[at].profile, self._classes[pool].spreads[variant]
            shape = spread.news(profile.run(1)) if known == id(profile) else None
            if shape is not None:
                found.append((pool, at, shape))
        self._table.sums.reshape(found)

    def loaded(self, member: Member, candidate: Candidate, answer: Answer) -> None:
        """Learn from the answer of the ask that made a node load what loading takes."""
        pool = member.pool
        at = None if pool is None else pool.index.get(answer.variant)
        if pool is None or at is None or not answer.cold or candidate.warm:
            return
        expected = pool.load_ms[at]
        took = answer.held_ms - answer.run_ms - candidate.queue_ms
        if expected <= 0 or took <= 0 or candidate.cold_ms < 0.99 * expected:
            return  # it waited for a load that another had begun
        ms = expected * clamped(took / expected) ** LOAD_SHARE
        self._table.sums.set_load_ms(pool, at, ms)

    def fade(self, now: float) -> None:
        """Take back, little by little, what nobody has confirmed for a while."""
        for member in self._fading.due(now):
            taught = self._members.get(member)
            if taught is None:
                continue
            if now - taught.heard_s > FADE_S:
                taught.heard_s = now
                self._take_back(member)
            shown = now - taught.answered_s <= SHOWN_S
            if member.slot and (shown or member.factors or member.pace != 1.0):
                self._fading.add(taught.heard_s + FADE_S, member)
            else:
                del self._members[member]
        for pool, taught in self._classes.items():
            if now - taught.heard_s > FADE_S:
                taught.heard_s = now
                self._table.sums.fade_class(pool)

    def _take_back(self, member: Member) -> None:
        member.pace = faded(member.pace)
        factors = {name: faded(factor) for name, factor in member.factors.items()}
        member.factors = {name: factor for name, factor in factors.items() if factor != 1.0}
        if member.pool is not None:
            self._table.sums.sum_all_factors(member.pool)

    def _class(self, pool: Pool, now: float) -> Taught:
        taught = self._classes.get(pool)
        if taught is None:
            taught = self._classes[pool] = Taught(now)
        taught.heard_s = now
        return taught

    def _member(self, member: Member, now: float) -> Taught:
        taught = self._members.get(member)
        if taught is None:
            taught = self._members[member] = Taught(now)
            self._fading.add(now + FADE_S, member)
        taught.heard_s = taught.answered_s = now
        return taught

    def seen(self, member: Member) -> tuple[RunsSeen, ...]:
        """Return what was predicted of a node's runs and what came of it, for people."""
        taught, pool = self._members.get(member), member.pool
        if taught is None or pool is None:
            return ()
        known = sorted(name for name in taught.observed if name in pool.index)
        return tuple(self._seen(member, pool, name, taught.observed[name]) for name in known)

    def _seen(
        self, member: Member, pool: Pool, variant: str, runs: Sequence[tuple[float, int]]
    ) -> RunsSeen:
        columns, at = self._table.columns, pool.index[variant]
        row = np.array([pool.first + at])
        factor = columns.factor.item(row[0]) * member.pace * member.factors.get(variant, 1.0)
        middle, late = (factor * run_ms(columns, row, 1, each).item(0) for each in (50.0, 99.0))
        once_ms = pool.typical_ms(at, 1)
        ordered = sorted(
            ran_ms / max(pool.typical_ms(at, rows), TIMER_MS) * once_ms for ran_ms, rows in runs
        )
        return RunsSeen(
            variant=variant,
            count=len(ordered),
            predicted_p50_ms=middle,
            predicted_p99_ms=max(middle, late),
            observed_p50_ms=ordered[len(ordered) // 2],
            observed_p99_ms=ordered[int(0.99 * len(ordered))],
            correction=factor,
        )


def _alone(runs: Sequence[Ran]) -> list[Row]:
    """As `_in_rows`, of one: as most are."""
    return [(member, run.variant, [run], now) for member, run, now in runs if not run.cold]


def _in_rows(runs: Iterable[Ran]) -> Iterator[Row]:
    """Yield warm runs of one variant on one member that came in a row, and when the last did."""
    warm = (run for run in runs if not run[1].cold)
    for (member, variant), row in groupby(warm, lambda run: (run[0], run[1].variant)):
        alike = list(row)
        yield member, variant, [answer for _, answer, _ in alike], alike[-1][2]
