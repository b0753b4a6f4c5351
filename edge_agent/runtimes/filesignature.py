"""What a bare model file says of itself. Pure; each runtime's adapter fills it in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from edge_agent.runtimes.base import DTYPES
from protocol.errors import BadRequestError
from protocol.types import Datatype

MAX_BATCH = 32
"""Of a file that takes any batch: more rows are run in several parts."""

Dims = tuple[int, ...]
"""A shape as a file has it; -1 for a free dimension."""

_NAMES: tuple[Datatype, ...] = get_args(Datatype)
_DATATYPES = {DTYPES[name].name: name for name in _NAMES}


@dataclass(frozen=True, slots=True)
class FileTensor:
    """One input or output."""

    name: str
    datatype: Datatype
    """In the file."""
    offered: Datatype
    """To callers: real numbers where the file has quantised ones."""
    shape: Dims

    @property
    def row(self) -> Dims:
        """The shape without the batch."""
        return self.shape[1:]


@dataclass(frozen=True, slots=True)
class FileSignature:
    """All inputs and outputs, and the batch sizes that the file takes (none: any)."""

    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]
    batches: tuple[int, ...] = ()
    max_batch: int = MAX_BATCH


def tensor(name: str, dtype: str, shape: Dims, *, real: str | None = None) -> FileTensor:
    """A tensor by numpy's name of its datatype; `real` is what callers see it as, if not that."""
    return FileTensor(name, datatype(dtype, name), datatype(real or dtype, name), shape)


def datatype(dtype: str, name: str) -> Datatype:
    """Return the wire's name for numpy's, or raise `BadRequestError`."""
    try:
        return _DATATYPES[dtype]
    except KeyError:
        raise BadRequestError(
            f"tensor {name} has elements of {dtype}, which the mesh does not carry",
            f"it carries {', '.join(DTYPES)}",
        ) from None


def batches(tensors: Iterable[FileTensor]) -> tuple[int, ...]:
    """The one batch size that all are fixed to, or none when it is free.

    Raises `BadRequestError` when the first dimension cannot be the batch of all.
    """
    shapes = {one.name: one.shape for one in tensors}
    firsts = {shape[0] if shape else 0 for shape in shapes.values()}
    if firsts == {-1}:
        return ()
    fixed = firsts - {-1}
    if len(fixed) == 1 and (size := fixed.pop()) > 0:
        return (size,)
    raise BadRequestError(
        f"the first dimension of its tensors is not one batch: {shapes}",
        "export the model so that every input and output begins with the same batch dimension",
    )
