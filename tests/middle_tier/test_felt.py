"""What the end of a query says of load."""

import pytest

from middle_tier.fairness import Felt
from middle_tier.http.job import felt
from middle_tier.routing.outcome import Outcome
from protocol.errors import (
    BadRequestError,
    DeadlineError,
    NoCandidateError,
    OverBudgetError,
    UnreachableError,
)
from tests.build import an_answer


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(an_answer(held_ms=9.0, run_ms=1.0)), Felt(100, late=False, wait_ms=8.0)),
        (Outcome(an_answer(held_ms=1.0, run_ms=1.5)), Felt(100, late=False, wait_ms=0.0)),
        (Outcome(an_answer(held_ms=9.0, cold=True)), Felt(100, late=False, wait_ms=None)),
        (Outcome(error=NoCandidateError("x", fastest_ms=150)), Felt(100, late=True, wait_ms=None)),
        (Outcome(error=NoCandidateError("x", fastest_ms=50)), None),
        (Outcome(error=NoCandidateError("x")), None),
        (Outcome(error=DeadlineError("x")), Felt(100, late=True, wait_ms=None)),
        (Outcome(error=OverBudgetError("full")), Felt(100, late=True, wait_ms=None)),
        (Outcome(error=BadRequestError("x")), None),
        (Outcome(error=UnreachableError("x")), None),
    ],
    ids=range(10),
)
def test_each_end_says_what_it_says(outcome, expected):
    assert felt(100, 50, outcome) == expected


def test_an_answer_after_the_objective_is_late():
    assert felt(100, 101, Outcome(an_answer())).late
