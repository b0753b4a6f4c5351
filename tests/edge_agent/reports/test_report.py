"""A report is a closed form: what does not fit it is not read, and what it says is harmless."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.reports.rate import Rate
from edge_agent.reports.report import MAX_BYTES, Report, read
from protocol.errors import DecodeError


def said(**changes):
    """A report's bytes."""
    usual = {"journal": "0" * 16, "number": 1, "kind": "trust-refused", "at": 1.0, "what": "x"}
    return json.dumps(usual | changes).encode()


def test_what_a_node_says_is_read():
    assert read(said()).what == "x"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "tenant-add"}, {"kind": "tenant\nadd"}, {"number": 0}, {"number": 2**60},
        {"journal": "../../x"}, {"journal": "0" * 16 + "\n"}, {"what": "x" * 201},
        {"reason": "x" * 65}, {"error": "x" * 401}, {"at": -1}, {"at": 1e300}, {"count": 0},
        {"count": 10**12}, {"unsaid": -1}, {"what": {"a": 1}},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(changes):
    with pytest.raises(DecodeError):
        read(said(**changes))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        said() + b" " * MAX_BYTES,
        b"\xff",
        b"[" * 4000,
        b'{"at": NaN}',
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_report_is_refused_and_not_repeated(data):
    with pytest.raises(DecodeError) as refused:
        read(data)
    assert refused.value.error in {"the report is malformed", "the report is too long"}
    assert refused.value.__cause__ is None


def test_fields_that_are_not_in_the_form_are_dropped():
    """So that nobody is another, or an operator, by saying so."""
    report = read(said(site="site-2", node="cam-2", actor="operator", token="secret"))
    assert not {"site", "node", "actor", "token"} & report.model_dump().keys()


def test_nothing_in_it_steers_a_terminal():
    report = read(said(what="\x1b[2Jcam\r\n\u202eevil", error="\x07"))
    assert report.what.isprintable()
    assert report.error.isprintable()


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    with suppress(DecodeError):
        assert isinstance(read(data), Report)


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 10), st.floats(0.01, 5))
def test_never_more_happen_than_the_burst_and_what_time_brings(waits, burst, per_s):
    rate, now, happened = Rate(burst, per_s, 0.0), 0.0, 0
    for wait in waits:
        now += wait
        happened += rate.take(now)
        assert happened <= burst + now * per_s + 1e-6
