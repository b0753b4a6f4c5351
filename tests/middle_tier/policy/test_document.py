"""A policy's text becomes a policy, or a list of faults that says where and how to mend each."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from middle_tier.policy.document import MAX_BYTES, BadPolicyError, changes, dump, read
from middle_tier.scheduler.types import Policy

EXAMPLE = Path(__file__).parents[3] / "deploy" / "policy.yaml"


def faults(text):
    with pytest.raises(BadPolicyError) as caught:
        read(text)
    return [(fault.line, fault.field) for fault in caught.value.faults]


def test_an_empty_document_states_the_defaults():
    assert read("") == read("# nothing\n") == Policy()


def test_the_example_names_every_field_and_is_good():
    stated = yaml.safe_load(EXAMPLE.read_text())
    assert set(stated) == set(Policy.model_fields)
    policy = read(EXAMPLE.read_text())
    assert policy.permit[0].leave_site is False
    assert policy.escalate.below == 0.6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("headroom: 0.9\nheadroom: 0.8\n", [(2, "headroom")]),
        ("tries: 4\nheadroom: 2\n", [(2, "headroom")]),
        ("\n\non_mis: refuse\n", [(3, "on_mis")]),
        ("permit:\n  - tiers:\n      - edge\n      - clud\n", [(4, "permit[0].tiers[1]")]),
        ("permit:\n  - tenant: a\n    leave: no\n", [(3, "permit[0].leave")]),
        ("prices: 3\n", [(1, "prices")]),
        ("hedge:\n  share: 2\nprefer:\n  x: 1\n", [(2, "hedge.share"), (4, "prefer.x")]),
        ("usd_per_gb:\n  edge-cloud: 1\n", [(2, "usd_per_gb.edge-cloud")]),
        ("wants:\n  - latency_ms: -1\n", [(2, "wants[0].latency_ms")]),
        ("headroom: .nan\n", [(1, "headroom")]),
        ("- headroom: 1\n", [(1, "")]),
        ("headroom: [\n", [(2, "")]),
        ("tries: 4\n\theadroom: 1\n", [(2, "")]),
        ("prefer: &a {}\nhedge: *a\n", [(2, "")]),
        ("headroom: 2001-99-99\n", [(1, "")]),
        ("? [a]\n: 1\n", [(1, "")]),
        ("headroom: \x01\n", [(1, "")]),
        ("a: " + "[" * 20_000, [(1, "")]),
        ("#" * (MAX_BYTES + 1), [(1, "")]),
    ],
)  # fmt: skip
def test_a_fault_has_its_line_and_its_field(text, expected):
    assert faults(text) == expected


def test_a_misspelt_field_is_told_its_neighbour():
    with pytest.raises(BadPolicyError, match="on_mis: no such field") as caught:
        read("on_mis: refuse")
    assert caught.value.hint == "did you mean 'on_miss'?"


def test_what_yaml_takes_for_something_else_is_to_be_put_in_quotes():
    with pytest.raises(BadPolicyError) as caught:
        read("permit:\n  - tenant: no\n")
    assert caught.value.hint == "put it in quotes"


def test_every_fault_is_in_the_body():
    with pytest.raises(BadPolicyError, match="and 1 more") as caught:
        read("headroom: 2\ntries: 0\n")
    body = caught.value.body()
    assert [fault["line"] for fault in body["faults"]] == [1, 2]
    assert body["reason"] == "malformed"


def test_what_is_written_out_reads_back():
    policy = read(EXAMPLE.read_text())
    assert read(dump(policy)) == policy
    assert read(dump(Policy())) == Policy()


def test_changes_name_each_field_that_differs():
    old = read("headroom: 0.9\npermit:\n  - {tenant: a}\n")
    new = read("headroom: 0.8\npermit:\n  - {tenant: b, tiers: [edge]}\n")
    assert changes(old, new) == (
        ("headroom", 0.9, 0.8),
        ("permit[0].tenant", "a", "b"),
        ("permit[0].tiers", None, ["edge"]),
    )
    assert changes(old, old) == ()


@given(st.text(max_size=200))
def test_whatever_the_text_is_it_is_a_policy_or_a_fault(text):
    try:
        found = read(text)
    except BadPolicyError as error:
        found = error.faults
    assert isinstance(found, Policy) or all(fault.line >= 1 for fault in found)
