"""Pure. A task's tensors, ready to check a request against: before anything is sent anywhere.

Binary tensors are cut out of the request's body as views; JSON numbers are converted in `numbers`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from middle_tier.http.numbers import packed
from protocol.bundles import Task
from protocol.codec import Bytes
from protocol.errors import BadRequestError
from protocol.types import Axes, Tensor

MAX_KNOWN = 1024
"""Checked tensors that are remembered (shapes repeat); all are forgotten when there are more."""


class Tensors(NamedTuple):
    """A request's inputs in the task's order, the bytes of each, and how many rows they have."""

    tensors: tuple[Tensor, ...]
    buffers: tuple[Bytes, ...]
    rows: int
    cuts: tuple[slice, ...]
    """Where each lies in the binary tail; empty unless all of them do."""


class Signature:
    """What a task takes and gives, in the form that a check needs."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.inputs = {axes.name: axes for axes in task.inputs}
        self.outputs = {axes.name: axes for axes in task.outputs}
        self._known: dict[tuple[object, ...], tuple[Tensor, int]] = {}

    def __repr__(self) -> str:
        return f"<Signature {self.task.name}: {_list(self.inputs)} -> {_list(self.outputs)}>"

    def read(self, given: object, tail: memoryview) -> Tensors:
        """Return the inputs `given` as OIP lists them, `tail` holding the binary ones in order.

        Raises `BadRequestError` that says what was expected and what was got.
        """
        if not isinstance(given, list):
            raise BadRequestError("inputs is not a list", f"send {self._wanted()}")
        found: dict[str, tuple[Tensor, Bytes]] = {}
        cuts: dict[str, slice] = {}
        start = 0
        for item in given:
            tensor, nbytes = self._tensor(item)
            if tensor.name in found:
                raise BadRequestError(f"input {tensor.name!r} is given twice", "send it once")
            size = _binary_size(item, nbytes)
            if size is None:
                found[tensor.name] = (tensor, packed(tensor, item.get("data")))
            else:
                cuts[tensor.name] = cut = slice(start, start + size)
                found[tensor.name] = (tensor, _cut(tail, cut, tensor))
                start += size
        if start != len(tail):
            raise _leftover(start, len(tail))
        return self._ordered(found, cuts)

    def match(self, tensors: tuple[Tensor, ...], buffers: tuple[Bytes, ...]) -> Tensors:
        """Return the inputs of a frame, which has cut them already; raise `BadRequestError`."""
        found: dict[str, tuple[Tensor, Bytes]] = {}
        for tensor, buffer in zip(tensors, buffers, strict=True):
            checked = self._checked(tensor.name, tensor.datatype, list(tensor.shape))
            if tensor.name in found:
                raise BadRequestError(f"input {tensor.name!r} is given twice", "send it once")
            found[tensor.name] = (checked, buffer)
        return self._ordered(found, {})

    def blank(self, rows: int) -> tuple[Tensor, ...]:
        """The inputs of a query of `rows`, other free dimensions 1: for a plan without data."""
        return tuple(
            Tensor(
                name=axes.name,
                datatype=axes.datatype,
                shape=(rows, *(max(1, size) for size in axes.shape[1:])),
            )
            for axes in self.task.inputs
        )

    def _ordered(
        self, found: Mapping[str, tuple[Tensor, Bytes]], cuts: Mapping[str, slice]
    ) -> Tensors:
        if len(found) != len(self.inputs):
            missing = _list(name for name in self.inputs if name not in found)
            raise BadRequestError(f"input {missing} is missing", f"send {self._wanted()}")
        pairs = [found[name] for name in self.inputs]
        rows = {tensor.shape[0] for tensor, _ in pairs}
        if len(rows) > 1:
            sizes = ", ".join(f"{tensor.name} {tensor.shape[0]}" for tensor, _ in pairs)
            raise BadRequestError(
                f"the inputs differ in rows: {sizes}",
                "the first dimension is the batch: the same for every input",
            )
        all_cut = tuple(cuts[name] for name in self.inputs) if len(cuts) == len(found) else ()
        return Tensors(tuple(t for t, _ in pairs), tuple(b for _, b in pairs), rows.pop(), all_cut)

    def _tensor(self, item: object) -> tuple[Tensor, int]:
        """The tensor that an input's name, datatype and shape describe, and its bytes' count."""
        if not isinstance(item, dict):
            raise BadRequestError("an input is not an object", f"send {self._wanted()}")
        name, datatype, shape = item.get("name"), item.get("datatype"), item.get("shape")
        if not isinstance(shape, list):
            raise BadRequestError(
                f"input {name!r} has no shape", "shape is a list of whole numbers"
            )
        try:
            known = self._known.get((name, datatype, *shape))
        except TypeError as error:  # a part that is itself a list or an object
            raise BadRequestError(f"input {str(name)[:60]!r} is malformed", _FORM) from error
        if known is not None and all(type(size) is int for size in shape):  # True == 1.0 == 1
            return known
        tensor = self._checked(name, datatype, shape)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[(name, datatype, *shape)] = (tensor, tensor.nbytes)
        return tensor, tensor.nbytes

    def _checked(self, name: object, datatype: object, shape: list[object]) -> Tensor:
        axes = self.inputs.get(name) if isinstance(name, str) else None
        if axes is None:
            raise BadRequestError(
                f"{self.task.name} takes no input {str(name)[:60]!r}", f"send {self._wanted()}"
            )
        if datatype != axes.datatype:
            raise BadRequestError(
                f"input {axes.name!r} is {str(datatype)[:20]}, expected {axes.datatype}",
                f"send {describe(axes)}",
            )
        sizes = tuple(size for size in shape if type(size) is int and 0 <= size < 2**31)
        if len(sizes) != len(shape) or not _fits(sizes, axes.shape):
            raise BadRequestError(
                f"input {axes.name!r} has the shape {_dims(shape)}, expected {_dims(axes.shape)}",
                "-1 stands for any size from 1; the first dimension is the batch",
            )
        return Tensor(name=axes.name, datatype=axes.datatype, shape=sizes)

    def _wanted(self) -> str:
        return ", ".join(describe(axes) for axes in self.task.inputs)


def describe(axes: Axes) -> str:
    """An input as an error shows it: ``image FP32 [-1, 8, 8]``."""
    return f"{axes.name} {axes.datatype} {_dims(axes.shape)}"


def _fits(shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    return len(shape) == len(axes) and all(
        size == axis or (axis == -1 and size > 0) for size, axis in zip(shape, axes, strict=True)
    )


def _binary_size(item: Mapping[str, object], nbytes: int) -> int | None:
    """How many bytes of the body are this input's; None when it comes as JSON."""
    parameters = item.get("parameters")
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise BadRequestError(f"input {item.get('name')!r} has bad parameters", _FORM)
    size = parameters.get("binary_data_size")
    if size is None:
        if "shared_memory_region" in parameters:
            raise BadRequestError(
                "shared memory is not supported", "send the tensor as binary data or as JSON"
            )
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size != nbytes:
        raise BadRequestError(
            f"input {item.get('name')!r} announces {repr(size)[:20]} bytes (binary_data_size), "
            f"expected {nbytes}",
            "its size is the product of its shape times the size of its datatype",
        )
    if "data" in item:
        raise BadRequestError(
            f"input {item.get('name')!r} has both data and binary_data_size", "send one of them"
        )
    return size


def _cut(tail: memoryview, cut: slice, tensor: Tensor) -> memoryview:
    if cut.stop > len(tail):
        raise BadRequestError(
            f"the body ends {cut.stop - len(tail)} bytes before the end of input {tensor.name!r}",
            f"expected {tensor.nbytes} bytes of it, got {max(0, len(tail) - cut.start)}",
        )
    return tail[cut]


def _leftover(used: int, total: int) -> BadRequestError:
    if used:
        return BadRequestError(
            f"{total} bytes follow the JSON, the inputs account for {used}",
            "each binary input says its size in parameters.binary_data_size",
        )
    return BadRequestError(
        f"{total} bytes follow the JSON, and no input says that they are its own",
        "put binary_data_size into the parameters of each binary input",
    )


def _dims(shape: Sequence[object]) -> str:
    shown = ", ".join(repr(size)[:12] for size in shape[:9])
    return f"[{shown}, ...]" if len(shape) > 9 else f"[{shown}]"  # noqa: PLR2004  # 8 is the limit


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


_FORM = (
    'an input reads {"name": ..., "datatype": ..., "shape": [...], "data": [...]}, or has '
    '"parameters": {"binary_data_size": n} in place of the data'
)
