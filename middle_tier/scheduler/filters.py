"""Pure. May it? Each filter is a reason and a function that masks the groups that are out.

The same filters serve `choose` and `explain`; they run in this order, and a group is out for the
first that it meets. `None` instead of a mask says that nobody is out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.members import STATES, TIERS
from middle_tier.scheduler.rules import permitted_sites
from middle_tier.scheduler.types import Demand, Policy
from protocol.types import Tier

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def _nowhere() -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of some groups before anything is predicted: equally long columns."""

    code: Callable[[str], int]
    """The number that stands for a name in the columns; one that is in none for a made-up one."""
    variant: Codes
    architecture: Codes
    tier: Codes
    site: Codes
    state: Codes
    across: Mask
    accuracy: Floats
    sites: Callable[[], Iterable[str]] = _nowhere
    """Names of those that the columns may hold."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Why a group is out, and which are."""

    reason: str
    out: Callable[[Demand, Policy, Facts], Mask | None]


def _variant(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    wanted = demand.want.variant
    return None if wanted is None else facts.variant != facts.code(wanted)


def _architecture(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    wanted = demand.want.architecture
    return None if wanted is None else facts.architecture != facts.code(wanted)


def _state(name: str) -> Callable[[Demand, Policy, Facts], Mask]:
    number = [str(state) for state in STATES].index(name)
    return lambda _demand, _policy, facts: facts.state == number


def _outside(tiers: tuple[Tier, ...] | None, facts: Facts) -> Mask | None:
    if tiers is None:
        return None
    return ~np.isin(facts.tier, [TIERS.index(tier) for tier in tiers])


def _policy_tier(_demand: Demand, policy: Policy, facts: Facts) -> Mask | None:
    return _outside(policy.tiers, facts)


def _tenant_tier(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    return _outside(demand.tiers, facts)


def _permit_tier(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    return None if demand.permit is None else _outside(demand.permit.tiers, facts)


def _permit_site(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    permit = demand.permit
    if permit is None or not permit.sites:
        return None
    return ~np.isin(facts.site, [facts.code(s) for s in permitted_sites(permit, facts.sites())])


def _must_stay(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    """What has passed a site has left it already: then nothing here may run it."""
    if demand.permit is None or demand.permit.leave_site:
        return None
    return np.ones_like(facts.across) if demand.hops else facts.across


def _passed(demand: Demand, _policy: Policy, facts: Facts) -> Mask | None:
    if not demand.hops:
        return None
    return facts.across & np.isin(facts.site, [facts.code(site) for site in demand.hops])


STANDING: tuple[Filter, ...] = (
    Filter("another variant", _variant),
    Filter("another architecture", _architecture),
    Filter("draining", _state("draining")),
    Filter("leaving", _state("leaving")),
    Filter("suspect", _state("suspect")),
    Filter("gone", _state("gone")),
    Filter("tier not permitted by the policy", _policy_tier),
    Filter("tier not permitted to the tenant", _tenant_tier),
    Filter("tier not permitted by the policy for this tenant and task", _permit_tier),
    Filter("site not permitted by the policy for this tenant and task", _permit_site),
    Filter("must not leave its site, by the policy", _must_stay),
    Filter("site already passed", _passed),
)
"""Filters whose outcome stands until the view's shape changes: kept per kind of want."""

INACCURATE = "accuracy below the want's"
"""Not a filter, as groups are kept in order of accuracy: what passes is a prefix."""

TOO_SLOW = "too slow"
TOO_DEAR = "too dear"
TRIED = "already asked"
BARRED = "failed lately"
RANKED_LOWER = "ranked lower"


def limit_ms(demand: Demand, policy: Policy) -> float:
    """Return the latest predicted finish that a candidate may have."""
    return demand.budget_ms * policy.headroom


def too_dear(cost_usd: Floats, demand: Demand) -> Mask | None:
    most = demand.want.max_cost_usd
    return None if most is None else cost_usd > most
