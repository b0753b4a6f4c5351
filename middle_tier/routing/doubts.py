"""Is a silent node slow, or gone? Asks it for a sign of life and waits a moment.

Slow nodes must not be written off (their work would be done twice), dead ones must be, at once.
"""

from collections.abc import Callable

from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from middle_tier.routing.alarms import Alarm, Alarms
from middle_tier.routing.asks import Sent, Target
from protocol.adverts import Describe
from protocol.codec import Frame
from protocol.errors import MeshError
from protocol.messages import Ping
from protocol.subjects import ControlSubject, RouteSubject

GRACE_S = 0.25
"""What a live process takes to answer a probe at the very most, on top of the link."""


class Doubts:
    """The mutable state is the targets in doubt, each with the alarm that writes it off."""

    def __init__(
        self, bus: Bus, clock: Clock, alarms: Alarms, gone: Callable[[Target], None]
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._alarms = alarms
        self._gone = gone
        self._open: dict[str, Alarm] = {}

    def __repr__(self) -> str:
        return f"<Doubts {sorted(self._open)}>"

    def doubt(self, sent: Sent) -> None:
        """`sent` is overdue: probe whoever owes the answer, unless that is under way."""
        target = sent.target
        if target.subject in self._open:
            return
        try:
            self._bus.publish(*_probe(sent), target.reply)
        except MeshError:
            self._gone(target)
            return
        link_s = sent.candidate.link_ms / 1000.0 if sent.candidate else 0.0
        at = self._clock.now() + GRACE_S + 2.0 * link_s
        self._open[target.subject] = self._alarms.set(at, lambda: self._confirm(target))

    def dispel(self, target: Target) -> None:
        """It was heard of: whatever it is, it is not gone."""
        alarm = self._open.pop(target.subject, None) if self._open else None
        if alarm is not None:
            alarm.cancel()

    def _confirm(self, target: Target) -> None:
        del self._open[target.subject]
        self._gone(target)


def _probe(sent: Sent) -> tuple[str, Frame]:
    candidate = sent.candidate
    if candidate is not None and candidate.scope == "node":
        return str(ControlSubject(candidate.site, candidate.node, "describe")), Frame(Describe())
    site = RouteSubject.parse(sent.target.subject).site
    return str(RouteSubject(site)), Frame(Ping())
