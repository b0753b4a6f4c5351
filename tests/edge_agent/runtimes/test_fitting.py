import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.admission import run_ms
from edge_agent.runtimes.fitting import Fitted, Part, parts
from protocol.bundles import estimate
from protocol.errors import ExecutionError
from protocol.types import Profile
from tests.data.blend import BLEND, a_variant, expected, some_inputs


class NumpyKernel:
    """Runs the blend in numpy, and keeps the sizes that it was called with."""

    def __init__(self, fault=None):
        self.sizes = []
        self.fault = fault

    def run(self, arrays):
        if self.fault:
            raise self.fault
        self.sizes.append(len(arrays[0]))
        outputs = expected({"left": arrays[0], "right": arrays[1]})
        return [outputs["scores"], outputs["total"]]

    def close(self):
        pass


def a_fitted(kernel, task=None, **changes):
    return Fitted(a_variant(BLEND, "onnx", b"", **changes), kernel, task=task)


@pytest.mark.parametrize(
    ("rows", "batches", "cut"),
    [
        (1, (1, 8, 32), [Part(0, 1, 1)]),
        (3, (1, 8, 32), [Part(0, 3, 8)]),
        (32, (1, 8, 32), [Part(0, 32, 32)]),
        (41, (1, 8, 32), [Part(0, 32, 32), Part(32, 41, 32)]),
        (3, (2,), [Part(0, 2, 2), Part(2, 3, 2)]),
        (70, (), [Part(0, 32, 32), Part(32, 64, 32), Part(64, 70, 6)]),
        (0, (1, 8), []),
    ],
)
def test_rows_are_cut_into_batches_that_the_file_takes(rows, batches, cut):
    assert list(parts(rows, batches, 32)) == cut


@given(
    rows=st.integers(1, 200),
    batches=st.lists(st.integers(1, 64), max_size=4, unique=True).map(sorted).map(tuple),
    max_batch=st.integers(1, 64),
)
def test_every_row_is_run_once_and_as_admission_predicts(rows, batches, max_batch):
    cut = parts(rows, batches, max_batch)
    assert [row for part in cut for row in range(part.start, part.stop)] == list(range(rows))
    if batches:
        profile = Profile(
            load_ms=0, memory_bytes=0, runs={size: estimate(float(size)) for size in batches}
        )
        assert sum(part.size for part in cut) == run_ms(profile, rows, 50)


def test_a_batch_that_fits_is_handed_on_as_it_came():
    seen = []

    class Kernel(NumpyKernel):
        def run(self, arrays):
            seen.extend(arrays)
            return super().run(arrays)

    inputs = some_inputs(8)
    a_fitted(Kernel(), batches=(1, 8)).infer(inputs)
    assert seen[0] is inputs["left"]
    assert seen[1] is inputs["right"]


def test_padding_is_not_in_the_answer():
    kernel = NumpyKernel()
    outputs = a_fitted(kernel, batches=(8,)).infer(some_inputs(3))
    assert kernel.sizes == [8]
    np.testing.assert_array_equal(outputs["total"], expected(some_inputs(3))["total"])


def test_what_foreign_code_raises_becomes_an_execution_error_that_tells_nothing_inside():
    fitted = a_fitted(NumpyKernel(fault=RuntimeError("/secret/path")))
    with pytest.raises(ExecutionError) as caught:
        fitted.infer(some_inputs(1))
    assert "secret" not in caught.value.error
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_state_is_shown():
    assert repr(a_fitted(NumpyKernel())) == "<NumpyKernel blend-onnx>"
