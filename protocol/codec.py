"""A frame is one line of JSON and then raw tensor bytes: encode, decode, limits.

Nothing is copied on the way in: the tensors of a decoded frame are views of its bytes.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from protocol.blobs import Part
from protocol.errors import DecodeError, TooLargeError
from protocol.messages import Asks, Message, Query, Replies
from protocol.types import Tensor, fault

MAX_HEADER_BYTES = 1 << 20
MAX_FRAME_BYTES = 8 << 20
"""What the servers are configured to carry (max_payload)."""
GATHER_BYTES = 256 << 10
"""A gathered frame stops growing here."""

Bytes = bytes | bytearray | memoryview
"""What holds a tensor: read, never written, never copied to be passed on."""

ALIGNMENT = 16
"""The first tensor begins at a multiple of this, as runtimes demand: spaces before it help."""

_CARRIERS = (Asks, Replies, Query, Part)

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


class Frame(NamedTuple):
    """A message and the bytes of its tensors, one buffer each, in the message's order."""

    message: Message
    buffers: tuple[Bytes, ...] = ()


def encode(frame: Frame) -> bytes:
    """Return the frame's bytes; raise `TooLargeError` when no server would carry them."""
    header = frame.message.model_dump_json().encode()
    if frame.buffers:
        header = header.ljust(len(header) + -(len(header) + 1) % ALIGNMENT)
    if len(header) > MAX_HEADER_BYTES:
        raise TooLargeError(f"a header of {len(header)} bytes", f"at most {MAX_HEADER_BYTES}")
    whole = b"".join((header, b"\n", *frame.buffers))
    if len(whole) > MAX_FRAME_BYTES:
        raise TooLargeError(
            f"a frame of {len(whole)} bytes",
            f"at most {MAX_FRAME_BYTES} bytes travel between nodes; send fewer rows at a time",
        )
    return whole


def decode(data: Bytes) -> Frame:
    """Return the frame; raise `DecodeError` for anything that is not exactly one."""
    if len(data) > MAX_FRAME_BYTES:
        raise DecodeError(f"a frame of {len(data)} bytes", f"at most {MAX_FRAME_BYTES}")
    whole = bytes(data) if isinstance(data, memoryview) else data
    end = whole.find(b"\n", 0, MAX_HEADER_BYTES + 1)
    if end < 0:
        raise DecodeError(f"no header line in the first {MAX_HEADER_BYTES} bytes")
    try:
        message = _MESSAGE.validate_json(whole[:end])
    except ValidationError as error:
        raise DecodeError(f"bad header: {fault(error)}") from error
    view = memoryview(whole)[end + 1 :]
    return Frame(message, tuple(split(view, tensors(message))))


def tensors(message: Message) -> Iterable[Tensor]:
    """The tensors whose bytes follow this message, in order."""
    return message.tensors() if isinstance(message, _CARRIERS) else ()


def split(body: memoryview, parts: Iterable[Tensor]) -> list[memoryview]:
    """Cut `body` into the bytes of each tensor; raise `DecodeError` when they do not add up."""
    start, views = 0, []
    for tensor in parts:
        end = start + tensor.nbytes
        views.append(body[start:end])
        start = end
    if start != len(body):
        raise DecodeError(f"{len(body)} tensor bytes, the header says {start}")
    return views
