"""Pure. JSON numbers to a tensor's bytes and back: strict, as silent conversions hide mistakes."""

import numpy as np
import numpy.typing as npt

from protocol.codec import Bytes
from protocol.errors import BadRequestError
from protocol.types import Datatype, Tensor

DTYPES: dict[Datatype, np.dtype[np.generic]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"), "INT8": np.dtype("i1"),
    "UINT16": np.dtype("<u2"), "INT16": np.dtype("<i2"), "FP16": np.dtype("<f2"),
    "UINT32": np.dtype("<u4"), "INT32": np.dtype("<i4"), "FP32": np.dtype("<f4"),
    "UINT64": np.dtype("<u8"), "INT64": np.dtype("<i8"), "FP64": np.dtype("<f8"),
}  # fmt: skip


def packed(tensor: Tensor, data: object) -> bytes:
    """Return the bytes of `data`, a flat or nested list; raise `BadRequestError` on a mismatch."""
    if not isinstance(data, list):
        raise BadRequestError(
            f"input {tensor.name!r} has no data",
            "put the numbers into data, or the bytes after the JSON (binary_data_size)",
        )
    try:
        array = np.array(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _mismatch(tensor, "a ragged list") from error
    if array.ndim > 1 and array.shape != tensor.shape:
        raise _mismatch(tensor, f"nested as {list(array.shape)}")
    if array.size != tensor_size(tensor):
        raise _mismatch(tensor, str(array.size))
    return _converted(tensor, array).tobytes()


def _converted(tensor: Tensor, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    dtype = DTYPES[tensor.datatype]
    if array.dtype.kind not in _ACCEPTS[dtype.kind]:
        raise BadRequestError(
            f"input {tensor.name!r} has data that is not {tensor.datatype}",
            f"send {_WORDS[dtype.kind]} only",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(dtype)
    exact = bool(np.isfinite(result).all()) if dtype.kind == "f" else bool((result == array).all())
    if not exact:
        raise BadRequestError(
            f"input {tensor.name!r} has a number beyond the range of {tensor.datatype}",
            f"send numbers that {tensor.datatype} can hold",
        )
    return result


def unpacked(tensor: Tensor, buffer: Bytes) -> npt.NDArray[np.generic]:
    """Return the tensor's numbers, flat, as a view of `buffer`."""
    return np.frombuffer(buffer, DTYPES[tensor.datatype])


def tensor_size(tensor: Tensor) -> int:
    size = 1
    for dimension in tensor.shape:
        size *= dimension
    return size


def _mismatch(tensor: Tensor, got: str) -> BadRequestError:
    return BadRequestError(
        f"input {tensor.name!r} needs {tensor_size(tensor)} numbers for its shape "
        f"{list(tensor.shape)}, got {got}",
        "data is one flat list in row-major order, or lists nested as the shape",
    )


_ACCEPTS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
"""Kinds of JSON values that a kind of datatype takes: whole numbers are floats too."""

_WORDS = {"f": "numbers", "i": "whole numbers", "u": "whole numbers", "b": "true and false"}
