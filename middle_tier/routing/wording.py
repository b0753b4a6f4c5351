"""Pure. What a pursuit says: asks, queries handed on, answers handed back, and its errors."""

from functools import lru_cache
from hashlib import blake2b

from middle_tier.routing.refusals import SOONER
from middle_tier.scheduler.types import Candidate
from protocol.errors import DeadlineError
from protocol.messages import Answer, Ask, Query

LEAST_MS = 0.001
"""Budgets on the wire are positive; what has less left is refused by whoever gets it."""


def ask(query: Query, candidate: Candidate, id_: str, *, budget_ms: float, until_ms: float) -> Ask:
    """Return the ask for a node, which cannot see the way there and back.

    One that would be late there is run all the same, by the hard deadline.
    """
    away_ms = candidate.link_ms + candidate.transfer_ms
    until_ms = max(until_ms - away_ms, LEAST_MS)
    return Ask(
        id=id_,
        variant=candidate.variant,
        inputs=query.inputs,
        budget_ms=max(budget_ms - away_ms, LEAST_MS),
        deadline_ms=until_ms,
        percentile=query.want.percentile,
        late=candidate.finish_ms > budget_ms,
        tenant=tenant_key(query.tenant),
        share=query.share,
    )


@lru_cache(4096)
def tenant_key(tenant: str) -> str:
    """What a node tells a tenant from others by: a device in the field is told nobody's name."""
    return blake2b(tenant.encode(), digest_size=8).hexdigest()


def handed_on(query: Query, here: str, id_: str, *, budget_ms: float, until_ms: float) -> Query:
    """Return the query as another site gets it from `here`."""
    budget_ms, until_ms = max(budget_ms, LEAST_MS), max(until_ms, LEAST_MS)
    update = {
        "id": id_,
        "want": query.want.but(latency_ms=budget_ms),
        "deadline_ms": until_ms,
        "hops": (*query.hops, here),
    }
    return query.but(**update)


def handed_back(query: Query, answer: Answer, candidate: Candidate | None, up_ms: float) -> Answer:
    """Return the answer as the caller gets it: with the time and cost as predicted from here.

    `candidate` is None for the parent's answer, which takes `up_ms` longer than the parent says.
    """
    if candidate is None:
        return answer.but(id=query.id, predicted_ms=answer.predicted_ms + up_ms)
    ours = answer.variant == candidate.variant  # a site's own router may have chosen another
    cost_usd = candidate.cost_usd if ours else answer.cost_usd
    return answer.but(id=query.id, predicted_ms=candidate.finish_ms, cost_usd=cost_usd)


def too_late(query: Query) -> DeadlineError:
    return DeadlineError(
        f"the hard deadline of {query.deadline_ms:.4g} ms passed; the work was dropped",
        SOONER,
    )
