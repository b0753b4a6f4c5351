"""Pure. An answer as the bytes of a response, in Open Inference Protocol's words.

Most answers of one variant on one node differ in four figures and their tensors. What they have in
common is written once; each answer has its figures, its id, its plan and its numbers put between.
"""

from typing import NamedTuple

import msgspec
import orjson

from middle_tier.http.numbers import unpacked
from middle_tier.http.oip import BINARY, JSON_LENGTH, Output, Response
from protocol.codec import Bytes
from protocol.messages import Answer
from protocol.types import Tensor

MAX_KNOWN = 1024
"""Kinds of answer that are remembered; when there are more, all are forgotten."""


class Said(msgspec.Struct, frozen=True):
    """What a response says besides the answer."""

    task: str
    id: str | None
    elapsed_ms: float
    met: bool
    plan: dict[str, object] | None


class _Common(NamedTuple):
    """What answers of one kind have in common."""

    outputs: tuple[Tensor, ...]
    head: bytes
    parameters: bytes
    described: bytes | None
    """The outputs, where all of them are binary."""
    binary: tuple[int, ...]
    """Which of the answer's tensors follow the JSON, in order."""


class Renderer:
    """The mutable state is what answers of each kind have in common."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], _Common] = {}

    def __repr__(self) -> str:
        return f"<Renderer {len(self._known)} kinds>"

    def __call__(
        self, said: Said, answer: Answer, buffers: tuple[Bytes, ...], wanted: tuple[Output, ...]
    ) -> Response:
        """Return the response; each output of `wanted` as it is wanted."""
        common = self._common(said.task, answer, wanted)
        id_, plan, described = b"", b"", common.described
        if said.id is not None:
            id_ = b',"id":' + orjson.dumps(said.id)
        if said.plan is not None:
            plan = b',"plan":' + orjson.dumps(said.plan, option=orjson.OPT_SERIALIZE_NUMPY)
        if described is None:
            described = _described(answer.outputs, buffers, wanted)
        text = _DOCUMENT % (
            common.head, id_, common.parameters, answer.predicted_ms, said.elapsed_ms,
            answer.cost_usd, b"true" if said.met else b"false", plan, described,
        )  # fmt: skip
        if not common.binary:
            return Response(200, (text,))
        tail = [_octets(buffers[place]) for place in common.binary]
        return Response(200, (text, *tail), BINARY, ((JSON_LENGTH, str(len(text))),))

    def _common(self, task: str, answer: Answer, wanted: tuple[Output, ...]) -> _Common:
        key = (task, answer.variant, answer.architecture, answer.node, answer.site, answer.tier,
               wanted)  # fmt: skip
        known = self._known.get(key)
        if known is None or known.outputs != answer.outputs:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = _common(task, answer, wanted)
        return known


_DOCUMENT = b'%b%b%b,"predicted_ms":%.3f,"elapsed_ms":%.3f,"cost_usd":%a,"met":%b%b},"outputs":%b}'


def _common(task: str, answer: Answer, wanted: tuple[Output, ...]) -> _Common:
    head = {"model_name": task, "model_version": answer.variant}
    parameters = {
        name: getattr(answer, name) for name in ("variant", "architecture", "node", "site", "tier")
    }
    places = {tensor.name: place for place, tensor in enumerate(answer.outputs)}
    binary = tuple(places[output.name] for output in wanted if output.binary)
    all_binary = len(binary) == len(wanted)
    return _Common(
        answer.outputs,
        _open(head),
        b',"parameters":' + _open(parameters),
        _described(answer.outputs, (), wanted) if all_binary else None,
        binary,
    )


def _open(document: dict[str, str]) -> bytes:
    """Its JSON without the closing brace: more is to come."""
    return orjson.dumps(document)[:-1]


def _described(
    outputs: tuple[Tensor, ...], buffers: tuple[Bytes, ...], wanted: tuple[Output, ...]
) -> bytes:
    """Return the JSON of the wanted outputs, with the numbers of those that are not binary."""
    places = {tensor.name: place for place, tensor in enumerate(outputs)}
    entries: list[dict[str, object]] = []
    for name, binary in wanted:
        place = places[name]
        tensor = outputs[place]
        entry: dict[str, object] = {
            "name": name, "datatype": tensor.datatype, "shape": tensor.shape,
        }  # fmt: skip
        if binary:
            entry["parameters"] = {"binary_data_size": tensor.nbytes}
        else:
            entry["data"] = unpacked(tensor, buffers[place])
        entries.append(entry)
    return orjson.dumps(entries, option=orjson.OPT_SERIALIZE_NUMPY)


def _octets(buffer: Bytes) -> Bytes:
    """A view whose length counts bytes, whatever array it was made from."""
    return buffer.cast("B") if isinstance(buffer, memoryview) and buffer.format != "B" else buffer
