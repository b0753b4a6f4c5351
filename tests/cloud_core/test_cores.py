"""A gate and the NATS server that it wakes never want the same core, where there are two."""

from hypothesis import given
from hypothesis import strategies as st

from cloud_core.cores import Cores, apart


def test_on_two_cores_gate_and_server_have_one_each_and_the_agent_may_use_both():
    assert apart({0, 1}, 0) == Cores(frozenset({0}), frozenset({1}), frozenset({0, 1}))


def test_on_one_core_nothing_is_kept_apart():
    assert apart({3}, 7) is None


def test_gates_of_one_machine_take_turns():
    assert [apart({4, 5, 6}, turn).gate for turn in (9, 10, 11)] == [{4}, {5}, {6}]


@given(st.sets(st.integers(0, 512), min_size=2), st.integers(0))
def test_only_usable_cores_are_given_and_no_core_to_both(usable, turn):
    cores = apart(usable, turn)
    assert cores.gate | cores.server | cores.agent <= usable
    assert cores.gate
    assert cores.server
    assert not cores.gate & cores.server
    assert cores.agent == usable
