"""What a chain of hashes shows, and what it cannot."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_core.audit.chain import MAX_TEXT, Head, linked, parsed, verified
from protocol.errors import BadNameError, BadRequestError


def a_chain(length=5):
    head, lines = Head(), []
    for number in range(length):
        entry = linked(head, 1e9 + number, "token-issue", {"actor": "operator", "id": f"t{number}"})
        lines.append(entry.line())
        head = entry.head
    return lines


def changed(line, **fields):
    return json.dumps({**json.loads(line), **fields}) + "\n"


def test_an_untouched_chain_holds():
    lines = a_chain()
    assert verified(lines) == (parsed(lines[-1]).head, "")


@given(st.integers(0, 4), st.sampled_from(["n", "at", "kind", "fields", "prev", "hash"]))
def test_no_part_of_an_entry_can_be_changed(place, part):
    lines = a_chain()
    other = {"n": 77, "at": 5.0, "kind": "other", "fields": {}, "prev": "1" * 64, "hash": "2" * 64}
    lines[place] = changed(lines[place], **{part: other[part]})
    checked = verified(lines)
    assert checked.fault
    assert checked.head.n == place


@given(st.permutations(range(5)))
def test_entries_cannot_be_moved(order):
    lines = a_chain()
    assert bool(verified([lines[at] for at in order]).fault) == (list(order) != list(range(5)))


@pytest.mark.parametrize("place", range(4))
def test_an_entry_cannot_be_left_out(place):
    lines = a_chain()
    del lines[place]
    assert "does not follow" in verified(lines).fault


def test_an_end_cut_off_is_seen_by_whoever_kept_the_head():
    lines = a_chain()
    head = parsed(lines[-1]).head
    assert verified(lines, known=head).fault == ""
    assert verified(lines[:-1]).fault == ""
    assert "ends without" in verified(lines[:-1], known=head).fault


def test_a_chain_written_anew_does_not_hold_the_head_that_was_kept():
    lines = a_chain()
    kept = parsed(lines[2]).head
    assert verified(lines, known=kept).fault == ""
    anew = [linked(Head(), 1.0, "nothing-happened", {}).line()]
    assert verified(anew).fault == ""
    assert verified(anew, known=kept).fault


def test_a_part_can_be_checked_from_where_one_has_come_to():
    lines = a_chain()
    assert verified(lines[3:], after=parsed(lines[2]).head).fault == ""
    assert verified(lines[3:], after=parsed(lines[1]).head).fault


@pytest.mark.parametrize("line", ["", "{}", "[1]", "null", '{"n": 1}', "{" * 100, "\x00"])
def test_what_is_no_entry_is_a_fault_and_nothing_worse(line):
    assert verified([line]).fault


def test_long_text_is_cut_and_odd_numbers_are_said():
    entry = linked(Head(), 1.0, "x", {"a": "y" * 9999, "b": float("nan"), "c": None, "d": True})
    assert len(entry.fields["a"]) == MAX_TEXT
    assert entry.fields["b"] == "nan"
    assert verified([entry.line()]).fault == ""


def test_a_kind_is_a_name_and_fields_are_few():
    with pytest.raises(BadNameError):
        linked(Head(), 1.0, "Not a kind", {})
    with pytest.raises(BadRequestError, match="fields"):
        linked(Head(), 1.0, "x", {f"f{n}": n for n in range(33)})
