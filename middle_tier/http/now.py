"""Pure. What a gate is doing, for people who watch: sums by tier, counts, the last decisions."""

from collections import defaultdict
from collections.abc import Mapping

from middle_tier.http.behind import Answering
from middle_tier.http.tally import Decided, Tally
from protocol.tokens import Claims

SUMS = ("answers", "rows", "cold", "elapsed_ms", "cost_usd")


def doing(router: Answering, tally: Tally, claims: Claims) -> dict[str, object]:
    """Return it as this caller may see it: who is no operator sees their own decisions only."""
    operator = "operate" in claims.scopes
    recent = [each for each in tally.recent if operator or each[0] == claims.sub]
    document: dict[str, object] = {
        "site": router.site,
        "since": tally.started,
        "decisions": [_decision(each) for each in reversed(recent)],
    }
    if operator:
        document |= {
            "tiers": by_tier(tally),
            "unanswered": _unanswered(tally),
            "under_way": router.under_way,
            "counts": dict(router.counts),
        }
    return document


def by_tier(tally: Tally) -> dict[str, dict[str, float]]:
    """What each tier has answered since the start, and how much of that as wanted."""
    sums: defaultdict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys((*SUMS, "met"), 0))
    for (_, tier), served in tally.by_tier().items():
        for name in SUMS:
            sums[tier][name] += getattr(served, name)
    for (_, tier, outcome), number in tally.outcomes.items():
        if tier and outcome == "met":
            sums[tier]["met"] += number
    return dict(sums)


def _unanswered(tally: Tally) -> Mapping[str, int]:
    """Queries that got an error, by why."""
    found: defaultdict[str, int] = defaultdict(int)
    for (_, tier, outcome), number in tally.outcomes.items():
        if not tier:
            found[outcome] += number
    return dict(found)


def _decision(decided: Decided) -> dict[str, object]:
    tenant, task, answer, elapsed_ms, met = decided
    return {
        "tenant": tenant,
        "task": task,
        "variant": answer.variant,
        "node": answer.node,
        "site": answer.site,
        "tier": answer.tier,
        "predicted_ms": round(answer.predicted_ms, 3),
        "elapsed_ms": round(elapsed_ms, 3),
        "cost_usd": answer.cost_usd,
        "met": met,
    }
