"""What all pursuits of one router share, and the subjects that they ask, built once each."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from edge_agent.clock import Clock
from middle_tier.routing.alarms import Alarms
from middle_tier.routing.allowance import Allowance, strict
from middle_tier.routing.asks import Outbox, Sent
from middle_tier.routing.claims import Claims
from middle_tier.routing.lateness import Lateness
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy
from middle_tier.uplink import Parent
from middle_tier.view import View
from protocol.subjects import AskSubject, RouteSubject


@dataclass(slots=True)
class Means:
    """The mutable state is `policy` (an operator may change it), the allowance, the counts."""

    site: str
    view: View
    clock: Clock
    policy: Policy
    outbox: Outbox
    alarms: Alarms
    parent: Parent | None
    plan: Callable[[Demand], Plan]
    doubt: Callable[[Sent], None]
    """Find out whether the node that owes this is still there."""
    surprised: Callable[[], None]
    """Something went otherwise than planned: plans made lately are worth nothing."""
    worth: Callable[[Demand], Candidate | None]
    """Nothing here meets this: what would if it were warm."""
    warm_up: Callable[[Demand], Candidate | None]
    """The same, and have it loaded."""
    late: Lateness
    """When an answer is late enough to hedge."""
    twice: bool = field(init=False)
    """Whether a query may be asked a second time."""
    hedges: Allowance = field(init=False)
    escalations: Allowance = field(init=False)
    allowance: Allowance = field(default_factory=Allowance)
    claims: Claims = field(default_factory=Claims)
    counts: Counter[str] = field(default_factory=Counter)
    """answered, refused (by nodes), given_up, hedged, escalated, late, and failures by reason."""
    under_way: int = 0
    """Pursuits begun and not ended."""

    def __post_init__(self) -> None:
        self.go_by(self.policy)

    def go_by(self, policy: Policy) -> None:
        """Take another policy; its shares begin anew."""
        self.policy = policy
        self.twice = bool(policy.hedge.share or policy.escalate.share)
        self.hedges = strict(policy.hedge.share)
        self.escalations = strict(policy.escalate.share)


@lru_cache(maxsize=16384)
def ask_subject(site: str, node: str) -> str:
    return str(AskSubject(site, node))


@lru_cache(maxsize=16384)
def route_subject(site: str) -> str:
    return str(RouteSubject(site))
