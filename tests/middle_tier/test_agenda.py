from hypothesis import given
from hypothesis import strategies as st

from middle_tier.sight.agenda import Agenda
from middle_tier.view import View
from tests.build import an_answer
from tests.middle_tier.fleet import a_node, add, info
from tests.middle_tier.test_recent import a_candidate

times = st.lists(st.integers(0, 50), max_size=30)


@given(times, times.map(sorted))
def test_everybody_is_looked_at_once_as_soon_as_the_time_has_passed(due, looks):
    agenda, last = Agenda(), -1
    for who, at in enumerate(due):
        agenda.add(at, who)
    for now in looks:
        passed = [who for who, at in enumerate(due) if last <= at < now]
        assert sorted(agenda.due(now)) == passed
        last = max(last, now)


def test_what_a_tick_looks_at_is_what_has_aged_and_not_all_that_ever_answered():
    view = View("site-1")
    for number in range(40):
        name, now = f"n-{number}", float(number)
        add(view, a_node(name, period_s=1000.0), [info("v")], now)
        candidate = a_candidate(name, site="site-1", variant="v")
        view.sent(candidate, 1, now)
        view.observed(candidate, an_answer(variant="v"), 5.0, now)
    assert "40 links sampled" in repr(view._lessons)  # noqa: SLF001  # no person is shown it
    view.tick(40.0)
    assert "10 links sampled" in repr(view._lessons)  # noqa: SLF001
    assert view._runs._fading.due(100.0)  # noqa: SLF001  # who answered lately is looked at later
