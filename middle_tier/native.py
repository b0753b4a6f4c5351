"""The Python client of a tenant that connects natively: over NATS, with an account of its own.

>>> async with native("nats://hub:4222", Path("acme.creds")) as mesh:
...     result = await mesh.ask("digits", {"image": image}, latency_ms=20)
...     result.output.argmax(), result.variant, result.tier

Whoever would rather speak HTTP uses `client`. The frames are in protocol/README, for other
languages.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from edge_agent.bus.base import Bus
from edge_agent.bus.nats import connecting
from edge_agent.identity.passport import Passport
from middle_tier.client import Wants
from middle_tier.http.numbers import DTYPES
from middle_tier.http.wirecall import Array
from middle_tier.routing.refusals import as_error_of_site
from protocol.codec import Frame
from protocol.errors import (
    BadRequestError,
    ConflictError,
    DecodeError,
    ForbiddenError,
    MeshError,
    NoCandidateError,
    OverBudgetError,
    UnreachableError,
)
from protocol.messages import Answer, Cancel, Query, Refusal, Replies, Want
from protocol.types import Datatype, Tensor

SUBJECT = "tiermesh.ask"
CANCEL = "tiermesh.cancel"
"""In the tenant's account: the only ones that lead out of it."""
MARGIN_S = 1.0
"""Waited beyond the hard deadline, for the refusal that says so."""
_NAMES: dict[np.dtype[Any], Datatype] = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class NativeResult:
    """An answer, and how it came about."""

    outputs: dict[str, Array]
    answer: Answer

    @property
    def output(self) -> Array:
        """The only output, of a task with one."""
        if len(self.outputs) != 1:
            raise ValueError(f"there are several outputs: {', '.join(self.outputs)}")
        return next(iter(self.outputs.values()))


class NativeMesh:
    """A mesh, through one connection. Raises what `client.Mesh` raises."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._prefix = token_hex(6)
        self._numbers = count(1)

    async def ask(
        self,
        task: str,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        id: str | None = None,  # noqa: A002  # the wire's word
        timeout_ms: float | None = None,
        **wants: Unpack[Wants],
    ) -> NativeResult:
        """Ask `task` for the answer to `inputs`: arrays of its own datatypes and shapes, by name.

        `timeout_ms` is the hard deadline; by default 4 x latency_ms, at least 1 s. `id` names the
        query: asked again within a minute it is answered, not run again. Cancelling this cancels
        the query in the mesh.
        """
        want = Want(task=task, **wants)
        deadline_ms = timeout_ms or max(4.0 * want.latency_ms, 1000.0)
        arrays = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        tensors = tuple(_tensor(name, array) for name, array in arrays.items())
        name = id or f"{self._prefix}-{next(self._numbers)}"
        query = Query(id=name, want=want, deadline_ms=deadline_ms, inputs=tensors)
        frame = Frame(query, tuple(array.tobytes() for array in arrays.values()))
        try:
            reply = await self.bus.request(SUBJECT, frame, deadline_ms / 1000.0 + MARGIN_S)
        except asyncio.CancelledError:
            with suppress(MeshError):  # cut off: the deadline ends it
                self.bus.publish(CANCEL, Frame(Cancel(ids=(name,))))
            raise
        return _result(reply)


@asynccontextmanager
async def native(
    url: str, credentials: Path, *, ca: Path | None = None
) -> AsyncIterator[NativeMesh]:
    """Connect with what `tiermesh tenants credentials` has written, until the block ends."""
    passport = Passport.read(credentials)
    async with connecting(url, name=passport.credentials.name, passport=passport, ca=ca) as bus:
        yield NativeMesh(bus)


def _tensor(name: str, array: Array) -> Tensor:
    datatype = _NAMES.get(array.dtype)
    if datatype is None:
        raise BadRequestError(
            f"input {name!r} is {array.dtype}", f"send one of {', '.join(map(str, _NAMES))}"
        )
    return Tensor(name=name, datatype=datatype, shape=array.shape)


def _result(frame: Frame) -> NativeResult:
    replies = frame.message
    if not isinstance(replies, Replies) or len(replies.items) != 1:
        raise DecodeError("the mesh has answered with something else")
    (reply,) = replies.items
    if isinstance(reply, Refusal):
        raise _error(reply)
    outputs = {
        tensor.name: np.frombuffer(buffer, DTYPES[tensor.datatype]).reshape(tensor.shape)
        for tensor, buffer in zip(reply.outputs, frame.buffers, strict=True)
    }
    return NativeResult(outputs, reply)


def _error(refusal: Refusal) -> MeshError:
    match refusal.reason:
        case "forbidden":
            return ForbiddenError(refusal.detail)
        case "over_budget":
            return OverBudgetError(refusal.detail)
        case "conflict":
            return ConflictError(refusal.detail)
        case "unreachable":
            return UnreachableError(refusal.detail)
        case _:
            return as_error_of_site(refusal) or NoCandidateError(
                refusal.detail, rejected=refusal.rejected, fastest_ms=refusal.finish_ms,
                best_accuracy=refusal.best_accuracy,
            )  # fmt: skip
