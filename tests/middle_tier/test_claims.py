from middle_tier.routing.claims import HOLD_S, MAX_HELD, Claims


def test_after_a_refusal_a_tenant_claims_nothing_for_a_moment_and_others_do():
    claims = Claims()
    assert claims.may("a", 0.0)
    claims.refused("a", 0.0)
    assert not claims.may("a", HOLD_S / 2)
    assert claims.may("b", HOLD_S / 2)
    assert claims.may("a", HOLD_S)


def test_it_remembers_so_many_and_no_more():
    claims = Claims()
    for number in range(3 * MAX_HELD):
        claims.refused(str(number), 0.0)
    assert len(claims._held) <= MAX_HELD  # noqa: SLF001
