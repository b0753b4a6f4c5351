"""What the client sends and how it reads what comes back; `client` does the sending."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from middle_tier.http.numbers import DTYPES
from protocol import errors
from protocol.bundles import Task
from protocol.errors import BadRequestError, MeshError, NoCandidateError
from protocol.types import Axes

Array = npt.NDArray[Any]  # numbers of whichever datatype the task says
Inputs = npt.ArrayLike | Mapping[str, npt.ArrayLike] | str | Sequence[str]

_JSON_LENGTH = "Inference-Header-Content-Length"
_TEXT_INPUTS = {"input_ids", "attention_mask"}


@dataclass(frozen=True, slots=True)
class Result:
    """An answer, and how it came about."""

    outputs: dict[str, Array]
    variant: str
    architecture: str
    node: str
    site: str
    tier: str
    predicted_ms: float
    """What the mesh expected, at the want's percentile."""
    elapsed_ms: float
    """What it took, from gate to gate."""
    cost_usd: float
    met: bool
    """Whether everything that you wanted was kept."""
    plan: dict[str, Any] | None = None
    """With `explain`."""
    id: str | None = None

    @property
    def output(self) -> Array:
        """The only output, of a task with one."""
        if len(self.outputs) != 1:
            raise ValueError(f"there are several outputs: {', '.join(self.outputs)}")
        return next(iter(self.outputs.values()))


class Sent(NamedTuple):
    """A request to be made."""

    method: str
    path: str
    body: bytes | None = None
    json_length: int | None = None


class Got(NamedTuple):
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


def inference(task: Task, inputs: Inputs, options: Mapping[str, Any]) -> Sent:
    """Return the request for an answer: tensors as binary data."""
    parameters = {k: v for k, v in options.items() if v is not None}
    request_id, variant = parameters.pop("id", None), parameters.pop("variant", None)
    timeout_ms = parameters.pop("timeout_ms", None)
    if timeout_ms is not None:
        parameters["timeout"] = _microseconds(timeout_ms)
    head: dict[str, Any] = {"parameters": {**parameters, "binary_data_output": True}}
    if request_id is not None:
        head["id"] = request_id
    arrays = _arrays(task, inputs)
    head["inputs"] = [
        {
            "name": axes.name, "datatype": axes.datatype, "shape": list(arrays[axes.name].shape),
            "parameters": {"binary_data_size": arrays[axes.name].nbytes},
        }
        for axes in task.inputs
    ]  # fmt: skip
    text = json.dumps(head).encode()
    version = f"/versions/{quote(variant, safe='')}" if variant is not None else ""
    body = b"".join((text, *(arrays[axes.name].tobytes() for axes in task.inputs)))
    return Sent("POST", f"{model(task.name)}{version}/infer", body, len(text))


def _microseconds(timeout_ms: float) -> int:
    """At least one: none at all would stand for the default."""
    if not math.isfinite(timeout_ms) or timeout_ms <= 0:
        raise BadRequestError(f"timeout_ms is {timeout_ms:g}", "give a number of ms above 0")
    return max(1, round(timeout_ms * 1000))


def plan(task: str, rows: int, wants: Mapping[str, Any]) -> Sent:
    given = {name: value for name, value in wants.items() if value is not None}
    return Sent("POST", "/v1/plan", json.dumps({"task": task, "rows": rows, **given}).encode())


def get(path: str) -> Sent:
    return Sent("GET", path)


def model(task: str) -> str:
    """A task's path."""
    return f"/v2/models/{quote(task, safe='')}"


def headers(call: Sent, token: str | None) -> dict[str, str]:
    found = {} if token is None else {"Authorization": f"Bearer {token}"}
    if call.body is not None:
        binary = call.json_length is not None
        found["Content-Type"] = "application/octet-stream" if binary else "application/json"
    if call.json_length is not None:
        found[_JSON_LENGTH] = str(call.json_length)
    return found


def checked(got: Got) -> Got:
    """Return what came, or raise the error that it says."""
    if got.status < 400:  # noqa: PLR2004  # HTTP's
        return got
    try:
        body = json.loads(got.body)
        error, reason, hint = body["error"], body["reason"], body.get("hint", "")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise MeshError(f"the gate answered {got.status}", "is this a gate's URL?") from None
    kind = _ERRORS.get((got.status, reason)) or _BY_STATUS.get(got.status, MeshError)
    if kind is NoCandidateError:
        could = body.get("available") or {}
        raise NoCandidateError(
            error, hint, rejected=body.get("rejected"), fastest_ms=could.get("fastest_ms"),
            best_accuracy=could.get("best_accuracy"),
        )  # fmt: skip
    raise kind(error, hint)


def document(got: Got) -> dict[str, Any]:
    """A JSON answer."""
    found: dict[str, Any] = json.loads(got.body)
    return found


def task(got: Got) -> Task:
    """A task as its metadata describe it."""
    found = document(got)
    return Task(name=found["name"], inputs=found["inputs"], outputs=found["outputs"])


def result(_: Task, got: Got) -> Result:
    """Take an answer apart; its arrays are views of the response, not to be written to."""
    length = next((v for k, v in got.headers.items() if k.lower() == _JSON_LENGTH.lower()), None)
    end = len(got.body) if length is None else int(length)
    head = json.loads(got.body[:end])
    outputs: dict[str, Array] = {}
    for tensor in head["outputs"]:
        dtype = DTYPES[tensor["datatype"]]
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            flat = np.array(tensor["data"], dtype)
        else:
            flat = np.frombuffer(got.body, dtype, size // dtype.itemsize, end)
            end += size
        outputs[tensor["name"]] = flat.reshape(tensor["shape"])
    said = head["parameters"]
    fields = ("variant", "architecture", "node", "site", "tier")
    return Result(
        outputs=outputs,
        **{name: said[name] for name in fields},
        predicted_ms=said["predicted_ms"],
        elapsed_ms=said["elapsed_ms"],
        cost_usd=said["cost_usd"],
        met=said["met"],
        plan=said.get("plan"),
        id=head.get("id"),
    )


def _arrays(task: Task, inputs: Inputs) -> dict[str, Array]:
    """Arrays by name, each of the task's datatype and with a batch dimension."""
    named = _named(task, inputs)
    expected = {axes.name: axes for axes in task.inputs}
    if set(named) != set(expected):
        raise BadRequestError(
            f"inputs {', '.join(map(str, named)) or 'none'}",
            f"{task.name} takes {', '.join(expected)}",
        )
    return {name: _array(axes, named[name]) for name, axes in expected.items()}


def _named(task: Task, inputs: Inputs) -> Mapping[str, npt.ArrayLike]:
    if isinstance(inputs, Mapping):
        return inputs
    if {axes.name for axes in task.inputs} == _TEXT_INPUTS and _is_text(inputs):
        # An extra (tokenizers): whoever sends tensors does not need it.
        from middle_tier import text  # noqa: PLC0415

        return text.tensors([inputs] if isinstance(inputs, str) else list(map(str, inputs)))  # type: ignore[arg-type]  # looked at by _is_text
    if len(task.inputs) != 1:
        names = ", ".join(axes.name for axes in task.inputs)
        raise BadRequestError(
            f"{task.name} takes several inputs", f"give a mapping with an array for each of {names}"
        )
    return {task.inputs[0].name: inputs}


def _is_text(inputs: object) -> bool:
    if isinstance(inputs, str):
        return True
    return isinstance(inputs, Sequence) and all(isinstance(item, str) for item in inputs)


def _array(axes: Axes, value: npt.ArrayLike) -> Array:
    """Convert without loss: whole numbers to floats yes, fractions to whole numbers no."""
    dtype = DTYPES[axes.datatype]
    try:
        array = np.asarray(value)
        if array.size and not np.can_cast(array.dtype, dtype, "same_kind"):
            array = _exact(array, dtype)
        array = np.ascontiguousarray(array, dtype)
    except (ValueError, TypeError) as error:
        raise BadRequestError(
            f"input {axes.name!r} cannot be made {axes.datatype}", f"give numbers: {error}"
        ) from error
    return array[np.newaxis] if array.ndim == len(axes.shape) - 1 else array


def _exact(array: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    if not np.array_equal(converted, array):
        raise ValueError(f"{array.dtype} does not fit {dtype}")
    return converted


_ERROR_CLASSES = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MeshError)
]
_ERRORS = {(kind.status, kind.reason): kind for kind in reversed(_ERROR_CLASSES)}
_BY_STATUS = {kind.status: kind for kind in reversed(_ERROR_CLASSES)}
