"""Records: made as told, checked where they come from others, written without what goes unsaid."""

import pytest
from pydantic import TypeAdapter

from protocol.codec import Frame, decode, encode
from protocol.errors import DecodeError
from protocol.messages import Ask, Asks, Missed, Query, Want
from protocol.types import Tensor
from tests.build import an_answer

FIELDS = {
    "id": "a-1", "variant": "mlp", "inputs": (), "budget_ms": 1.0, "deadline_ms": 2.0,
    "percentile": 99.0, "late": False, "tenant": "local", "share": 2.0,
}  # fmt: skip


def test_a_changed_copy_leaves_the_first_as_it_was():
    first = an_answer("q-1")
    second = first.but(id="q-2", cost_usd=0.5)
    assert (first.id, second.id, second.cost_usd) == ("q-1", "q-2", 0.5)
    assert second.but(id="q-1", cost_usd=first.cost_usd) == first


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError, match="immutable"):
        Ask(**FIELDS).id = "b"


def test_it_travels():
    frame = Frame(Asks(items=(Ask(**FIELDS),)))
    assert decode(encode(frame)) == frame


def test_one_that_is_checked_keeps_every_rule():
    assert Ask.checked(**FIELDS) == Ask(**FIELDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""}, {"id": "a\n"}, {"id": "x" * 129}, {"variant": "a/b"}, {"variant": ""},
        {"tenant": "A"}, {"tenant": "a.b"}, {"budget_ms": 0}, {"deadline_ms": -1},
        {"percentile": 100}, {"percentile": "99"}, {"late": 1}, {"inputs": None},
        {"share": 0}, {"share": 1001},
        {"inputs": ({"name": "a b", "datatype": "FP32", "shape": [1]},)},
        {"inputs": ({"name": "x", "datatype": "FP8", "shape": [1]},)},
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_neither_made_nor_decoded(wrong):
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec's, or ours for a name
        Ask.checked(**FIELDS | wrong)
    made = Ask(**FIELDS | wrong)
    with pytest.raises(DecodeError):
        decode(encode(Frame(Asks(items=(made,)))))


def test_a_name_that_was_refused_is_refused_again():
    for _ in range(2):
        with pytest.raises(ValueError, match="not a name"):
            Ask.checked(**FIELDS | {"variant": "a b"})


def test_a_query_s_want_is_read_by_its_own_rules():
    query = Query(id="q", want=Want(task="digits"), deadline_ms=1.0, inputs=())
    assert decode(encode(Frame(query))).message == query
    with pytest.raises(DecodeError):
        decode(encode(Frame(query)).replace(b"digits", b"Digits"))


def test_a_message_of_pydantic_s_may_hold_one():
    tensor = Tensor(name="x", datatype="FP32", shape=(1, 8))
    both = TypeAdapter(tuple[Tensor, Missed])
    held = (tensor, Missed(want=Want(task="digits")))
    assert both.validate_json(both.dump_json(held)) == held
    with pytest.raises(ValueError, match="shape"):
        both.validate_python(({"name": "x", "datatype": "FP32", "shape": []}, held[1]))
