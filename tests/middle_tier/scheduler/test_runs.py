import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import admission
from middle_tier.scheduler.columns import Columns
from middle_tier.scheduler.runs import run_ms
from protocol.types import Latency, Profile

latencies = st.lists(st.floats(0, 1e4), min_size=5, max_size=5).map(
    lambda ms: Latency(ms=tuple(sorted(ms)))
)
profiles = st.dictionaries(st.integers(1, 64), latencies, min_size=1, max_size=8).map(
    lambda runs: Profile(load_ms=1.0, memory_bytes=1, runs=runs)
)


@given(st.lists(profiles, min_size=1, max_size=4), st.integers(1, 200), st.floats(1, 99.99))
def test_a_column_says_what_the_agents_own_rule_says(found, rows, percentile):
    columns = Columns()
    columns.block(len(found))
    for row, profile in enumerate(found):
        columns.set_profile(row, profile)
    column = run_ms(columns, np.arange(len(found)), rows, percentile)
    expected = [admission.run_ms(profile, rows, percentile) for profile in found]
    assert np.allclose(column, expected, rtol=1e-9, atol=1e-9)


def test_of_many_batch_sizes_the_ends_are_kept():
    columns = Columns()
    columns.block(1)
    runs = {size: Latency(ms=(size,) * 5) for size in range(1, 33)}
    columns.set_profile(0, Profile(load_ms=0, memory_bytes=0, runs=runs))
    found = [float(run_ms(columns, np.array([0]), rows, 50.0)[0]) for rows in (1, 2, 32)]
    assert found[0] == 1.0
    assert found[1] >= 2.0  # a batch that was left out is taken for the next larger one
    assert found[2] == 32.0
