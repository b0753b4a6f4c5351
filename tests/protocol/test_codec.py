"""Frames: what goes in comes out, and nothing that is not a frame gets past `DecodeError`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blobs import Part, Piece
from protocol.codec import (
    ALIGNMENT,
    MAX_FRAME_BYTES,
    MAX_HEADER_BYTES,
    Frame,
    decode,
    encode,
    tensors,
)
from protocol.errors import DecodeError, TooLargeError
from protocol.messages import Asks, Cancel, Done, Ping, Query, Replies
from protocol.types import MAX_FAULT
from tests.protocol.strategies import MESSAGES, frames, wire

AN_ASK = (
    b'{"kind":"asks","items":[{"id":"1","variant":"v","budget_ms":1,"deadline_ms":1,'
    b'"inputs":[{"name":"x","datatype":"FP32","shape":[1,%s]}]}]}\n'
)


def refused(data: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    return caught.value


@pytest.mark.parametrize("model", MESSAGES, ids=lambda model: model.__name__)
@given(data=st.data())
def test_every_message_survives_the_wire(model, data):
    message = data.draw(wire(model))
    sent = Frame(message, tuple(bytes(tensor.nbytes) for tensor in tensors(message)))
    assert decode(encode(sent)).message == message


@given(frames())
def test_every_tensor_survives_the_wire(frame):
    assert [bytes(view) for view in decode(encode(frame)).buffers] == list(frame.buffers)


@given(frames())
def test_decoded_tensors_are_views_of_the_frame(frame):
    data = encode(frame)
    assert all(view.obj is data for view in decode(data).buffers)


@given(frames())
def test_the_first_tensor_lies_where_runtimes_read_it_without_a_copy(frame):
    if frame.buffers:
        assert (encode(frame).index(b"\n") + 1) % ALIGNMENT == 0


@given(frames(), st.data())
def test_flipped_bits_raise_nothing_but_decode_error(frame, data):
    mangled = bytearray(encode(frame))
    for _ in range(data.draw(st.integers(1, 5))):
        mangled[data.draw(st.integers(0, len(mangled) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decode(bytes(mangled))
    except DecodeError as error:
        assert len(error.error) < 2 * MAX_FAULT  # noqa: PT017  # it may also decode: then all is well


@given(frames(), st.data())
def test_a_cut_frame_is_refused(frame, data):
    whole = encode(frame)
    refused(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(frames(), st.binary(min_size=1, max_size=9))
def test_bytes_after_the_last_tensor_are_refused(frame, more):
    refused(encode(frame) + more)


@given(st.binary(max_size=300))
def test_noise_is_refused(noise):
    refused(noise)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(frames(), st.data())
def test_a_field_of_any_other_value_raises_nothing_but_decode_error(frame, data):
    header, _, body = encode(frame).partition(b"\n")
    tree = json.loads(header)
    place = tree
    while True:  # walk down to some field, then put something else there
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    try:
        decode(json.dumps(tree).encode() + b"\n" + body)
    except DecodeError as error:
        assert len(error.error) < 2 * MAX_FAULT  # noqa: PT017  # it may also decode: then all is well


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"ping"',
        b'{"kind":"nonsense"}',
        b'{"kind":"' + b"x" * 100_000 + b'"}',
        b'{"kind":["ping"]}',
        b'{"kind":"ping"',
        b'{"kind":"ping"}{"kind":"ping"}',
        b'{"kind":"done","ok":true,"detail":"\xff"}',
        b'{"kind":"done","ok":true,"detail":"\\ud800"}',
        b'{"kind":"done","ok":true,"detail":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"kind":"done","ok":true,"detail":' + b'{"a":' * 150_000 + b"}",
        b'{"kind":"cancel","ids":[' + b"0," * 500_000 + b"0]}",
        b'{"kind":"cancel","ids":["a\\nb"]}',
        b'{"kind":"description","node":"a","site":"b","revision":1,"tasks":[],"variants":[],"unable":{'
        + b",".join(b'"%d":1' % n for n in range(90_000))
        + b"}}",
        b'{"kind":"description","node":"a","site":"b","revision":'
        + b"9" * 19
        + b',"tasks":[],"variants":[]}',
        b'{"kind":"description","node":"a","site":"b","revision":'
        + b"9" * 9_999
        + b',"tasks":[],"variants":[]}',
        b'{"kind":"description","node":"a","site":"b","revision":-1,"tasks":[],"variants":[]}',
        b'{"kind":"description","node":"a.b","site":"b","revision":1,"tasks":[],"variants":[]}',
        b'{"kind":"description","node":"a","site":"*","revision":1,"tasks":[],"variants":[]}',
    ],
    ids=lambda header: repr(header[:60]),
)
def test_a_bad_header_is_refused_in_one_short_line(header):
    error = refused(header + b"\n")
    assert len(error.error) < 2 * MAX_FAULT
    assert "\n" not in error.error


def test_faults_beyond_counting_are_counted_not_listed():
    entries = ",".join(f'"{n}":-1' for n in range(9_000))
    header = (
        '{"kind":"description","node":"a","site":"b","revision":1,"tasks":[],"variants":[],'
        f'"unable":{{{entries}}}}}\n'
    )
    assert "9000 faults" in refused(header.encode()).error


@pytest.mark.parametrize(
    "number", [b"1e999", b"-1e999", b"NaN", b"Infinity", b'"nan"', b"0", b"-1"]
)
def test_a_budget_that_is_no_duration_is_refused(number):
    refused(
        b'{"kind":"asks","items":[{"id":"1","variant":"v","budget_ms":%s,"deadline_ms":1,"inputs":[]}]}\n'
        % number
    )


@pytest.mark.parametrize(
    "dimension", [b"-1", b"2147483648", b"1.5", b"null", b"1e30", b"2147483647", b"[1]"]
)
def test_a_tensor_without_its_bytes_is_refused(dimension):
    refused(AN_ASK % dimension + bytes(4))


def test_a_tensor_of_astronomical_size_is_refused():
    refused(AN_ASK % b",".join([b"2147483647"] * 7))


def test_of_two_equal_keys_the_last_counts():
    assert decode(b'{"kind":"ping","kind":"pong"}\n').message.kind == "pong"
    assert decode(b'{"kind":"cancel","ids":["a"],"ids":["b"]}\n').message == Cancel(ids=("b",))


def test_fields_of_a_newer_peer_are_passed_over():
    assert decode(b'{"kind":"ping","colour":{"deep":[1,2]}}\n').message == Ping()


def test_a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not():
    million = 1_000_000  # as many digits as the room will have
    whole = encode(Frame(a_query(million), (bytes(million),)))
    room = MAX_FRAME_BYTES - (len(whole) - million)
    frame = Frame(a_query(room), (bytes(room),))
    data = encode(frame)
    assert len(data) == MAX_FRAME_BYTES
    assert decode(data) == frame
    with pytest.raises(TooLargeError):
        encode(Frame(a_query(room + 1), (bytes(room + 1),)))
    refused(data + b"\0")


def test_a_header_of_exactly_the_limit_passes_and_one_byte_more_does_not():
    room = MAX_HEADER_BYTES - len(encode(Frame(Done(ok=True)))) + 1
    frame = Frame(Done(ok=True, detail="x" * room))
    assert decode(encode(frame)) == frame
    with pytest.raises(TooLargeError):
        encode(Frame(Done(ok=True, detail="x" * (room + 1))))
    refused(encode(frame).replace(b"xx", b"xxx", 1))


def test_views_and_byte_arrays_are_read_like_bytes():
    data = encode(Frame(a_query(3), (b"abc",)))
    for form in (bytes, bytearray, memoryview):
        assert bytes(decode(form(data)).buffers[0]) == b"abc"


def test_only_asks_replies_queries_and_parts_carry_bytes():
    carrying = {model for model in MESSAGES if hasattr(model, "tensors")}
    assert carrying == {Asks, Replies, Query, Piece, Part}
    refused(b'{"kind":"ping"}\nx')


def a_query(rows):
    tensor = {"name": "x", "datatype": "UINT8", "shape": [rows]}
    return Query.checked(id="1", want={"task": "t"}, deadline_ms=1.0, inputs=[tensor])


@given(frames(), st.randoms(use_true_random=False))
def test_where_the_kind_stands_does_not_matter(frame, random):
    header, _, body = encode(frame).partition(b"\n")
    fields = list(json.loads(header).items())
    random.shuffle(fields)
    shuffled = json.dumps(dict(fields)).encode() + b"\n" + body
    assert decode(shuffled).message == frame.message


@pytest.mark.parametrize(
    "too_much", [{"hops": ["site"] * 33}, {"traceparent": "0" * 513}, {"share": 1e-300}]
)
def test_a_query_carries_no_more_than_a_way_has(too_much):
    line = json.loads(encode(Frame(a_query(1), (b"a",))).partition(b"\n")[0])
    refused(json.dumps(line | too_much).encode() + b"\na")
