"""Who may go before queued work: one that is in time for it, and takes nobody's."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.queue.slack import Due, passes

works = st.lists(
    st.builds(Due, st.integers(0, 30).map(float), st.integers(1, 5).map(float)), max_size=6
)
seconds = st.integers(0, 10).map(float)


def ends(queued, free_at):
    """When each is done, run one after another as they are due, the short first where all alike."""
    found, at = {}, free_at
    for number, each in sorted(enumerate(queued), key=lambda one: (one[1], one[0])):
        at += each.cost_s
        found[number] = at
    return found


@given(works, seconds, st.integers(0, 30), st.integers(1, 5).map(float))
def test_it_passes_if_it_is_in_time_in_its_turn_and_all_that_were_still_are(
    queued, free_at, due, run_s
):
    due += 0.5  # never as due as another: whose turn that is does not matter here
    before = ends(queued, free_at)
    after = ends([*queued, Due(due, run_s)], free_at)
    in_time = after[len(queued)] <= due
    robbed = any(before[at] <= one.due < after[at] for at, one in enumerate(queued))
    found = passes(queued, free_at=free_at, due=due, run_s=run_s)
    assert found == (in_time and not robbed)


def test_an_urgent_ask_passes_work_that_has_time():
    assert passes([Due(500.0, 200.0)], free_at=0.0, due=10.0, run_s=5.0)


def test_nobody_passes_work_that_has_none():
    assert not passes([Due(202.0, 200.0)], free_at=0.0, due=10.0, run_s=5.0)


def test_what_is_late_already_loses_nothing():
    assert passes([Due(150.0, 200.0)], free_at=0.0, due=10.0, run_s=5.0)
