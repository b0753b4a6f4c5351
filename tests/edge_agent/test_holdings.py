"""Who makes room: the least recently used of those that nobody needs."""

import pytest

from edge_agent.stock.holdings import Holdings
from tests.edge_agent.test_lanes import a_holding


def holdings(**changes):
    """Three warm ones of 10 bytes, used in the order of their names, and a cold one."""
    each = {name: a_holding(name) for name in ("a", "b", "c", "new")}
    for used_at, (name, holding) in enumerate(each.items()):
        holding.memory_bytes, holding.used_at = 10, float(used_at)
        holding.state = "cold" if name == "new" else "warm"
    for name, change in changes.items():
        for field, value in change.items():
            setattr(each[name], field, value)
    return each


@pytest.mark.parametrize(
    ("cap", "changes", "evicted"),
    [
        (40, {}, ""),
        (30, {}, "a"),
        (30, {"new": {"memory_bytes": 20}}, "ab"),
        (30, {"a": {"in_use": 1}}, "b"),
        (30, {"a": {"state": "loading"}}, "b"),
        (30, {"a": {"used_at": 9.0}}, "b"),
        (30, {"new": {"memory_bytes": 31}}, None),
        (30, {name: {"in_use": 1} for name in "abc"}, None),
    ],
)
def test_the_least_recently_used_of_those_not_in_use_go(cap, changes, evicted):
    each = holdings(**changes)
    chosen = Holdings(each.values(), cap).room_for(each["new"])
    assert (None if chosen is None else "".join(holding.id for holding in chosen)) == evicted
