import numpy as np
import pytest

from edge_agent.bundles import smoke
from protocol.errors import ExecutionError, UntrustedError

INPUTS = {"x": np.ones((2, 3), np.float32)}
GOLDEN = {"y": np.array([[1.0], [2.0]], np.float32)}


class Replaying:
    """A runtime that answers what it was made with."""

    def __init__(self, outputs):
        self.outputs = outputs

    def infer(self, _inputs):
        if self.outputs is None:
            raise ExecutionError("broken")
        return self.outputs

    def close(self):
        pass


def check(outputs, tolerance=0.1, golden=None):
    smoke.check(Replaying(outputs), INPUTS, golden or GOLDEN, tolerance)


@pytest.mark.parametrize("off", [0.0, 0.05, -0.09])
def test_what_is_near_enough_passes(off):
    check({"y": GOLDEN["y"] + np.float32(off)})


@pytest.mark.parametrize("off", [0.2, -0.2, np.nan, np.inf])
def test_one_element_that_is_off_fails(off):
    outputs = GOLDEN["y"].copy()
    outputs[1, 0] += off
    with pytest.raises(UntrustedError, match="off by"):
        check({"y": outputs})


@pytest.mark.parametrize(
    "outputs",
    [GOLDEN["y"][:1], GOLDEN["y"].astype(np.float64), GOLDEN["y"].reshape(1, 2)],
    ids=["fewer rows", "another datatype", "another shape"],
)
def test_another_kind_of_tensor_fails(outputs):
    with pytest.raises(UntrustedError):
        check({"y": outputs})


def test_a_missing_output_fails():
    with pytest.raises(UntrustedError, match="y"):
        check({})


def test_a_variant_that_fails_on_its_golden_inputs_is_not_trusted():
    with pytest.raises(UntrustedError):
        check(None)


def test_whole_numbers_are_compared_without_wrapping_round():
    golden = {"y": np.array([[255]], np.uint8)}
    with pytest.raises(UntrustedError):
        check({"y": np.array([[0]], np.uint8)}, tolerance=2, golden=golden)


def test_a_bare_file_has_nothing_to_be_checked_against():
    smoke.check(Replaying(None), {}, {}, 0.0)
