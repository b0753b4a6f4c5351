"""The smoke test: does a loaded variant give its golden outputs here? Its bytes are store's.

Not pedantry: a runtime of another version has been seen to load a file and answer wrongly, without
any error.
"""

import numpy as np

from edge_agent.runtimes.base import Runtime, Tensors
from protocol.errors import ExecutionError, UntrustedError


def check(runtime: Runtime, inputs: Tensors, outputs: Tensors, tolerance: float) -> None:
    """Raise `UntrustedError` when an output is farther than `tolerance` from its golden one.

    Golden inputs that are empty (a bare file that came without a bundle) check nothing.
    """
    if not inputs:
        return
    try:
        got = runtime.infer(inputs)
    except ExecutionError as error:
        raise UntrustedError("it fails on its golden inputs") from error
    for name, golden in outputs.items():
        if name not in got:
            raise UntrustedError(f"it gives no output {name}")
        _compare(name, got[name], golden, tolerance)


def _compare(name: str, got: np.ndarray, golden: np.ndarray, tolerance: float) -> None:
    if got.shape != golden.shape or got.dtype != golden.dtype:
        raise UntrustedError(
            f"golden output {name} is {golden.dtype}{list(golden.shape)}, "
            f"this runtime gives {got.dtype}{list(got.shape)}"
        )
    far = distance(got, golden)
    if not far <= tolerance:  # also when it is not a number
        raise UntrustedError(
            f"golden output {name} is off by {far:.3g}, permitted {tolerance:.3g}",
            "this runtime's version does not run this file rightly: build it for this one",
        )


def distance(got: np.ndarray, golden: np.ndarray) -> float:
    """Largest absolute difference; 0 for two tensors without elements."""
    if got.size == 0:
        return 0.0
    return float(np.max(np.abs(got.astype(np.float64) - golden.astype(np.float64))))
