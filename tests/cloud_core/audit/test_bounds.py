"""A node that floods is bounded and counted; its neighbours, and other sites, notice nothing."""

from hypothesis import given
from hypothesis import strategies as st

from cloud_core.audit import bounds
from cloud_core.audit.bounds import ALL, MAX_NODES, NODE_BURST, SITE_BURST, Bounds, Suppressed
from edge_agent.reports import journal


def admitted(limits, site, node, times, now=0.0):
    return sum(limits.admit(site, node, now) for _ in range(times))


def test_a_node_that_floods_gets_its_burst_and_one_entry_that_counts_the_rest():
    limits = Bounds()
    assert admitted(limits, "site-1", "mad", 10_000) == NODE_BURST
    assert limits.due(0.0) == ()
    assert limits.due(60.0) == (Suppressed("site-1", "mad", 10_000 - NODE_BURST),)
    assert limits.due(120.0) == ()


def test_its_neighbour_is_heard():
    limits = Bounds()
    admitted(limits, "site-1", "mad", 10_000)
    assert admitted(limits, "site-1", "good", 5) == 5


def test_a_site_with_nodes_without_number_gets_its_burst_and_other_sites_are_heard():
    limits = Bounds()
    heard = sum(limits.admit("site-1", f"made-up-{number}", 0.0) for number in range(9000))
    assert heard == SITE_BURST
    assert admitted(limits, "site-2", "good", 5) == 5
    assert Suppressed("site-1", ALL, 9000 - SITE_BURST) in limits.due(60.0)


def test_what_is_remembered_of_a_site_is_bounded_and_its_nodes_beyond_count_as_its_own():
    limits = Bounds()
    for number in range(SITE_BURST):
        assert limits.admit("site-1", f"made-up-{number}", 0.0)
    assert limits.admit("site-1", "beyond", 5.0)
    assert repr(limits) == f"<Bounds of {MAX_NODES} nodes in 1 sites>"
    assert admitted(limits, "site-1", "beyond", 100, 5.0) == 4
    assert limits.due(60.0) == (Suppressed("site-1", ALL, 96),)


def test_a_flood_that_goes_on_is_an_entry_now_and_then():
    limits, entries = Bounds(), 0
    for second in range(3600):
        entries += admitted(limits, "site-1", "mad", 100, float(second))
        entries += len(limits.due(float(second)))
    assert entries <= NODE_BURST + 3600 * bounds.NODE_PER_S + 1


def test_an_honest_node_s_journal_sends_less_than_is_taken():
    """What waited through a cut, and what it may say at once after it."""
    assert journal.MAX_WAITING + journal.BURST <= NODE_BURST
    assert journal.PER_S <= bounds.NODE_PER_S


NAMES = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(NAMES, NAMES, st.floats(0, 20)), max_size=300))
def test_nothing_is_lost_without_being_counted(said):
    limits, now, written = Bounds(), 0.0, 0
    for site, node, wait in said:
        now += wait
        written += limits.admit(site, node, now)
    counted = sum(one.times for step in range(4) for one in limits.due(now + 10_000 * (step + 1)))
    assert written + counted == len(said)
