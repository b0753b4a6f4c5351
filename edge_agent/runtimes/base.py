"""What a runtime is. Its meaning is `tests/conformance/test_runtime.py`."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from protocol.bundles import Variant

Array = npt.NDArray[Any]  # the element type is the variant's to say
Tensors = Mapping[str, Array]
"""Task tensor name -> array; the first dimension is the batch."""


class Runtime(Protocol):
    """One loaded variant. Called from one worker thread at a time, under the *task's* tensor names.

    Any number of rows is taken: the adapter splits, or pads and slices, where the file's batches
    are fixed, and converts datatypes where the file's differ from the task's.
    """

    def infer(self, inputs: Tensors) -> Tensors:
        """Run; outputs are the caller's to keep. Raises `ExecutionError`."""
        ...

    def close(self) -> None:
        """Give back the memory; infer is not called again."""
        ...


Load = Callable[[Variant, bytes, int], Runtime]
"""variant, its verified bytes, intra-op threads -> a loaded runtime. Raises `ExecutionError`."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "INT8": np.dtype(np.int8),
    "UINT16": np.dtype("<u2"),
    "INT16": np.dtype("<i2"),
    "FP16": np.dtype("<f2"),
    "UINT32": np.dtype("<u4"),
    "INT32": np.dtype("<i4"),
    "FP32": np.dtype("<f4"),
    "UINT64": np.dtype("<u8"),
    "INT64": np.dtype("<i8"),
    "FP64": np.dtype("<f8"),
}
"""numpy's name for each datatype on the wire."""
