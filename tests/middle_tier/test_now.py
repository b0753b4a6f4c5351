"""What a gate is doing, as an operator sees it and as a tenant does."""

from types import SimpleNamespace

from middle_tier.gate import everything
from middle_tier.http.now import doing
from middle_tier.http.tally import KEPT, Tally
from tests.build import an_answer

ROUTER = SimpleNamespace(site="s1", under_way=3, counts={"hedged": 1})


def a_tally():
    tally = Tally(0.0)
    for tenant, tier, met in (("a", "edge", True), ("b", "edge", False), ("a", "cloud", True)):
        answer = an_answer(tier=tier, cost_usd=1e-6)
        tally.answered(tenant, "digits", answer, rows=1, elapsed_ms=5.0, met=met)
    tally.failed("a", "digits", "refused")
    return tally


def claims(tenant, *scopes):
    return everything(tenant).model_copy(update={"scopes": scopes})


def test_an_operator_sees_sums_by_tier_and_every_decision_the_newest_first():
    found = doing(ROUTER, a_tally(), claims("root", "read", "operate"))
    assert (found["tiers"]["edge"]["answers"], found["tiers"]["edge"]["met"]) == (2, 1)
    assert found["unanswered"] == {"refused": 1}
    assert [each["tier"] for each in found["decisions"]] == ["cloud", "edge", "edge"]
    assert (found["under_way"], found["counts"]) == (3, {"hedged": 1})


def test_a_tenant_sees_their_own_decisions_and_nothing_of_others():
    found = doing(ROUTER, a_tally(), claims("b", "read"))
    assert [each["tenant"] for each in found["decisions"]] == ["b"]
    assert set(found) == {"site", "since", "decisions"}


def test_only_the_last_are_kept():
    tally = Tally(0.0)
    for number in range(KEPT + 5):
        tally.answered(str(number), "t", an_answer(), rows=1, elapsed_ms=1.0, met=True)
    assert len(tally.recent) == KEPT
    assert tally.recent[-1][0] == str(KEPT + 4)
