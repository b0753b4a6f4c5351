import json

import pytest

from edge_agent.runtimes import registry, table
from protocol.errors import ExecutionError
from tests.data.blend import BLEND, a_variant, some_inputs

FIGURES = {
    "runs": {"1": [10, 11, 12, 13, 14], "8": [40, 41, 42, 43, 44]},
    "load_ms": 500,
    "memory_bytes": 1000,
    "outputs": {"out": [3], "sum": [4]},
    "seed": 5,
}


def a_table(slept, **changes):
    data = json.dumps(FIGURES | changes).encode()
    variant = a_variant(BLEND, "table", data, max_batch=8)
    return table.load(variant, data, 1, BLEND, sleep=slept.append)


def runs(slept, rows=1, count=50, **changes):
    runtime = a_table(slept, **changes)
    slept.clear()
    for _ in range(count):
        runtime.infer(some_inputs(rows))
    return list(slept)


def test_loading_takes_as_long_as_the_table_says():
    slept = []
    a_table(slept)
    assert slept == [0.5]


def test_runs_take_what_was_measured_for_the_batch():
    assert all(0.010 <= seconds <= 0.014 for seconds in runs([]))
    assert all(0.040 <= seconds <= 0.044 for seconds in runs([], rows=5))
    assert len(set(runs([]))) > 10


def test_the_same_seed_draws_the_same_times():
    assert runs([]) == runs([])
    assert runs([]) != runs([], seed=6)


@pytest.mark.parametrize(
    "changes", [{"runs": {}}, {"runs": {"1": [2, 1, 1, 1, 1]}}, {"outputs": {}}, {"typo": 1}]
)
def test_a_table_that_makes_no_sense_is_an_error(changes):
    data = json.dumps(FIGURES | changes).encode()
    with pytest.raises(ExecutionError):
        registry.load(a_variant(BLEND, "table", data), data, 1)
