"""The way to the parent as one query sees it: how long it takes, and whether it is worth it.

Also what is said when nobody here or there could answer. It sends nothing: a pursuit does.
"""

from typing import NamedTuple

from middle_tier.routing.choices import Choices
from middle_tier.routing.means import Means
from middle_tier.routing.refusals import nothing_meets
from protocol.errors import MeshError, UnknownError
from protocol.messages import Query


def up_ms(means: Means, query: Query, choices: Choices) -> float:
    """Return what going up and back takes, at the want's percentile."""
    if means.parent is None:
        return 0.0
    return means.parent.away_ms(query.want.percentile, choices.nbytes)


class Above(NamedTuple):
    """What the parent may be asked."""

    left_ms: float
    """Of the budget."""
    claims: bool
    """It would be late but for a tenant that has not had its share there."""


def budget_above_ms(
    means: Means, query: Query, choices: Choices, budget_ms: float
) -> Above | None:  # fmt: skip
    """Return what the parent would have left of a budget; None where it is not to be asked.

    Nor is it where it has had the query, may not have it, or could not answer in time.
    """
    parent = means.parent
    if parent is None or parent.cut or parent.site in query.hops or not choices.may_leave:
        return None
    away_ms = up_ms(means, query, choices)
    if budget_ms <= away_ms:
        return None
    refused = parent.refusal(choices.demand, budget_ms - away_ms)
    if refused is not None:  # its tensors would go up, and the same come down
        choices.found.refusal(refused, away_ms)
        if parent.could(choices.demand, budget_ms - away_ms):
            return Above(budget_ms - away_ms, claims=True)
        return None
    return Above(budget_ms - away_ms, claims=False)


def nobody(means: Means, query: Query, choices: Choices, *, gone_up: bool) -> MeshError:
    """Return the error of a query that nobody here was found for, nor above."""
    want, parent = query.want, means.parent
    above = gone_up or (parent is not None and parent.knows(want.task))
    if parent is not None and parent.cut:
        choices.found.count(f"the way to {parent.site} is cut")
    elif want.task not in means.view.tasks and not above:
        return UnknownError(f"no such task: {want.task}", "see GET /v2/models")
    return nothing_meets(want, choices.found)
