"""Pure. Two processes that say they are one node: their adverts come in turns, for long.

A restart is another boot that stays. A reconnect may leave a half-open connection behind, from
which adverts that were on their way still come: an earlier boot that returns, but not for longer
than it takes to notice that the connection is dead. A clone goes on returning.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

CLONE_AFTER_S = 20.0
"""Two ping intervals of a client (`edge_agent.bus.nats`): by then a dead connection is noticed.
Lower takes a slow reconnect for a clone; higher leaves a clone at work for longer."""

FORGET_S = 60.0
"""A boot that has been silent for so long, or adverts in turn so long ago, say nothing any more."""


class Clone(NamedTuple):
    """What was noticed."""

    boots: tuple[str, str]
    """The one heard now, and the one before."""
    for_s: float
    """How long they have been coming in turns."""


@dataclass(slots=True)
class _Boots:
    """One node's."""

    last: str
    heard_s: float
    before: dict[str, float] = field(default_factory=dict)
    """When each earlier boot was heard last."""
    turns_since_s: float | None = None
    """Since when an earlier boot has been returning."""
    turned_s: float = 0.0
    """When one returned last."""


class Clones:
    """The mutable state is the boots of each node."""

    def __init__(self, after_s: float = CLONE_AFTER_S) -> None:
        self._after_s = after_s
        self._nodes: dict[str, _Boots] = {}

    def heard(self, node: str, boot: str, now: float) -> Clone | None:
        """Take an advert's boot; return the clone that it shows."""
        boots = self._nodes.get(node)
        if boots is None:
            self._nodes[node] = _Boots(boot, now)
            return None
        if boot == boots.last:
            boots.heard_s = now
            return None
        other, for_s = boots.last, _turned(boots, boot, now)
        return Clone((boot, other), for_s) if for_s > self._after_s else None


def _turned(boots: _Boots, boot: str, now: float) -> float:
    """Take another boot than the last one; return for how long they have been coming in turns."""
    boots.before[boots.last] = boots.heard_s
    boots.before = {one: at for one, at in boots.before.items() if now - at <= FORGET_S}
    returned = boots.before.pop(boot, None) is not None
    boots.last, boots.heard_s = boot, now
    if not returned:
        return 0.0
    if boots.turns_since_s is None or now - boots.turned_s > FORGET_S:
        boots.turns_since_s = now
    boots.turned_s = now
    return now - boots.turns_since_s
