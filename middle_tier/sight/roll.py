"""Pure. Who has spoken, when, and whose silence has lasted too long: nodes and sites alike."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from middle_tier.scheduler.members import Member, State
from middle_tier.sight.links import LinkSamples
from middle_tier.sight.liveness import FORGET_AFTER, Health, health, next_look_s
from middle_tier.sight.speeds import Speed
from protocol.adverts import Capacity, Description, NodeStatus, RunsSeen, SiteCapacity

Advert = TypeVar("Advert", Capacity, SiteCapacity)


@dataclass(slots=True, eq=False)
class Seen(Generic[Advert]):
    """One node or site: its last advert, and what is kept beside it."""

    advert: Advert
    heard_s: float
    members: dict[str, Member]
    """A node is one member (named ""); a site one for each line of its summary."""
    description: Description | None = None
    samples: LinkSamples = field(default_factory=LinkSamples)
    speed: Speed = field(default_factory=Speed)
    lost: bool = False
    """Nobody listened there; until it speaks again."""
    drains: bool = False
    """It refused as it drains; until it says otherwise."""

    def silent_s(self, now: float) -> float:
        return max(0.0, now - self.heard_s)

    def health(self, now: float) -> Health:
        """Alive, suspect or gone: by silence, or since nobody listens or it said goodbye."""
        if _said_goodbye(self.advert):
            return "gone"
        found = health(self.silent_s(now), self.advert.period_s)
        return "suspect" if found == "alive" and self.lost else found


class Roll(Generic[Advert]):
    """Everybody heard of, and a queue of whose silence to look at next.

    Hearing from somebody costs nothing here: an entry that comes too early is put back.
    """

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Seen[Advert]] = {}
        self._due: list[tuple[float, int, tuple[str, str]]] = []
        self._order = count()

    def enter(self, key: tuple[str, str], seen: Seen[Advert]) -> None:
        self.seen[key] = seen
        self._look_again(key, seen, seen.heard_s)

    def overdue(self, now: float) -> Iterator[tuple[tuple[str, str], Seen[Advert], bool]]:
        """Yield whoever's silence may mean something else by now; and whether to forget it."""
        while self._due and self._due[0][0] <= now:
            _, _, key = heapq.heappop(self._due)
            seen = self.seen.get(key)
            if seen is None:
                continue
            forget = seen.silent_s(now) > FORGET_AFTER * seen.advert.period_s
            if forget:
                del self.seen[key]
            else:
                self._look_again(key, seen, now)
            yield key, seen, forget

    def forgive(self, seconds: float) -> None:
        """Take nobody's silence of so long for silence: it was not listened to."""
        for seen in self.seen.values():
            seen.heard_s += seconds

    def _look_again(self, key: tuple[str, str], seen: Seen[Advert], now: float) -> None:
        wait_s = next_look_s(seen.silent_s(now), seen.advert.period_s)
        heapq.heappush(self._due, (now + wait_s + 1e-6, next(self._order), key))


def state_of(seen: Seen[Capacity] | Seen[SiteCapacity], now: float) -> State:
    """Return the state whose pools it belongs in."""
    advert = seen.advert
    if isinstance(advert, Capacity) and advert.state == "leaving":
        return "leaving"
    health = seen.health(now)
    if health != "alive":
        return health
    drains = seen.drains or (isinstance(advert, Capacity) and advert.state == "draining")
    return "draining" if drains else "ready"


def status_of(seen: Seen[Capacity], now: float, runs: tuple[RunsSeen, ...] = ()) -> NodeStatus:
    """Return it as people are told of it."""
    description = seen.description
    return NodeStatus(
        advert=seen.advert,
        health=seen.health(now),
        silent_s=seen.silent_s(now),
        variants=() if description is None else tuple(i.variant for i in description.variants),
        unable={} if description is None else description.unable,
        runs=runs,
    )


def _said_goodbye(advert: Capacity | SiteCapacity) -> bool:
    return isinstance(advert, Capacity) and advert.state == "leaving"
