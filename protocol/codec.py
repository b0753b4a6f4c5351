"""A frame is one line of JSON and then raw tensor bytes: encode, decode, limits.

Nothing is copied on the way in: the tensors of a decoded frame are views of its bytes.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError

from protocol.blobs import Part, Piece
from protocol.errors import DecodeError, TooLargeError
from protocol.messages import Asks, Message, Often, Query, Replies, Seldom
from protocol.records import Record
from protocol.types import MAX_FAULT, Tensor, Wire, fault

MAX_HEADER_BYTES = 1 << 20
MAX_FRAME_BYTES = 8 << 20
"""What the servers are configured to carry (max_payload)."""
GATHER_BYTES = 256 << 10
"""A gathered frame stops growing here."""

Bytes = bytes | bytearray | memoryview
"""What holds a tensor: read, never written, never copied to be passed on."""

ALIGNMENT = 16
"""The first tensor begins at a multiple of this, as runtimes demand: spaces before it help."""

_CARRIERS = (Asks, Replies, Query, Piece, Part)

_SELDOM: TypeAdapter[Seldom] = TypeAdapter(Seldom)


def _read(model: type[Wire], given: object) -> Wire:
    return model.model_validate(given)


_OFTEN: msgspec.json.Decoder[Often] = msgspec.json.Decoder(Often, dec_hook=_read)
_WRITER = msgspec.json.Encoder(enc_hook=Wire.model_dump)
"""Records hold what pydantic reads as well: a want."""


class _Kind(msgspec.Struct):
    """All that is read at first of a message which does not begin with it, as ours do."""

    kind: str


_KIND = msgspec.json.Decoder(_Kind)
_BEGINNING = b'{"kind":"'
_RECORDS = (b'{"kind":"asks"', b'{"kind":"replies"', b'{"kind":"query"')


class Frame(NamedTuple):
    """A message and the bytes of its tensors, one buffer each, in the message's order."""

    message: Message
    buffers: tuple[Bytes, ...] = ()


def encode(frame: Frame, limit: int = MAX_FRAME_BYTES) -> bytes:
    """Return the frame's bytes; raise `TooLargeError` when they are more than `limit`."""
    line = header(frame)
    size = len(line) + sum(map(len, frame.buffers))
    if size > limit:
        raise TooLargeError(
            f"a frame of {size} bytes",
            f"at most {limit} bytes travel together; send fewer rows at a time",
        )
    return b"".join((line, *frame.buffers))


def header(frame: Frame) -> bytes:
    """Return the first line of the frame, with its line feed, long enough that tensors lie right.

    Raises `TooLargeError` for a message that is itself too long.
    """
    message = frame.message
    if isinstance(message, Record):
        line = _WRITER.encode(message)
    else:
        line = message.model_dump_json().encode()
    if frame.buffers:
        line = line.ljust(len(line) + -(len(line) + 1) % ALIGNMENT)
    if len(line) > MAX_HEADER_BYTES:
        raise TooLargeError(f"a header of {len(line)} bytes", f"at most {MAX_HEADER_BYTES}")
    return line + b"\n"


def decode(data: Bytes, limit: int = MAX_FRAME_BYTES) -> Frame:
    """Return the frame; raise `DecodeError` for anything that is not exactly one."""
    if len(data) > limit:
        raise DecodeError(f"a frame of {len(data)} bytes", f"at most {limit}")
    whole = bytes(data) if isinstance(data, memoryview) else data
    end = whole.find(b"\n", 0, MAX_HEADER_BYTES + 1)
    if end < 0:
        raise DecodeError(f"no header line in the first {MAX_HEADER_BYTES} bytes")
    try:
        message = _message(whole[:end])
    except ValidationError as error:
        raise DecodeError(f"bad header: {fault(error)}") from error
    except (ValueError, RecursionError) as error:  # msgspec's, and a name's
        raise DecodeError(f"bad header: {str(error)[:MAX_FAULT]!r}") from error
    view = memoryview(whole)[end + 1 :]
    return Frame(message, tuple(split(view, tensors(message))))


def _message(line: bytes | bytearray) -> Message:
    if line.startswith(_BEGINNING):
        often = line.startswith(_RECORDS)
    else:
        often = _BEGINNING + _KIND.decode(line).kind.encode() + b'"' in _RECORDS
    if not often:
        return _SELDOM.validate_json(line)
    message = _OFTEN.decode(line)
    message.check()
    return message


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
