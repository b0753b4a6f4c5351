"""The error tree: its statuses, its one shape, and that the docstring draws it as it is."""

import re

import pytest

from protocol import errors
from protocol.errors import MeshError, NoCandidateError


def tree(kind=MeshError):
    """The errors of `protocol`; what a tier adds for itself is not the wire's business."""
    children = (child for child in kind.__subclasses__() if child.__module__ == errors.__name__)
    return [kind, *(leaf for child in children for leaf in tree(child))]


DRAWN = dict(re.findall(r"[*+-] (\w+Error) +(\d{3}  \w+)", errors.__doc__ or ""))


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_the_docstring_draws_status_and_reason(kind):
    assert DRAWN[kind.__name__] == f"{kind.status}  {kind.reason}"


def test_the_docstring_draws_nothing_else():
    assert set(DRAWN) == {kind.__name__ for kind in tree()}


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_answers_in_one_shape(kind):
    body = kind("what went wrong", "how to mend it").body()
    assert (body["error"], body["reason"], body["hint"]) == (
        "what went wrong",
        kind.reason,
        "how to mend it",
    )
    assert all(isinstance(value, str) for value in kind("x").headers().values())


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("BadRequestError", 400),
        ("UnauthenticatedError", 401),
        ("ForbiddenError", 403),
        ("UnknownError", 404),
        ("ConflictError", 409),
        ("TooLargeError", 413),
        ("OverBudgetError", 429),
        ("NoCandidateError", 503),
        ("DeadlineError", 504),
    ],
)
def test_the_statuses_are_the_public_ones(name, status):
    assert getattr(errors, name).status == status


def test_no_candidate_says_what_could_be_had():
    error = NoCandidateError(
        "none",
        "relax",
        rejected={"too slow": 3},
        fastest_ms=9.5,
        best_accuracy=0.97,
        retry_after_s=2.4,
    )
    assert error.body()["available"] == {"fastest_ms": 9.5, "best_accuracy": 0.97}
    assert error.body()["rejected"] == {"too slow": 3}
    assert error.headers() == {"Retry-After": "2"}
