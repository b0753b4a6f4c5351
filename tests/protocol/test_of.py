"""A message made unchecked is the one that checking would have made."""

import copy

from protocol.codec import Frame, decode, encode
from protocol.messages import Ask, Asks
from tests.build import an_answer

FIELDS = {
    "id": "a-1", "variant": "mlp", "inputs": (), "budget_ms": 1.0, "deadline_ms": 2.0,
    "percentile": 99.0, "late": False, "tenant": "local",
}  # fmt: skip


def test_it_is_equal_hashed_and_written_alike():
    made, checked = Ask.of(**FIELDS), Ask(**FIELDS)
    assert (made, hash(made), repr(made)) == (checked, hash(checked), repr(checked))
    assert made.model_dump_json() == checked.model_dump_json()
    assert made.model_copy(update={"id": "b"}) == copy.deepcopy(checked).but(id="b")


def test_a_changed_copy_leaves_the_first_as_it_was():
    first = an_answer("q-1")
    second = first.but(id="q-2", cost_usd=0.5)
    assert (first.id, second.id, second.cost_usd) == ("q-1", "q-2", 0.5)
    assert second == first.model_copy(update={"id": "q-2", "cost_usd": 0.5})


def test_it_travels():
    frame = Frame(Asks(items=(Ask.of(**FIELDS),)))
    assert decode(encode(frame)) == frame
