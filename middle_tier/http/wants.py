"""Pure. What a caller's parameters say: the want, the hard deadline, whether to explain.

The same rules hold for the parameters of an inference request and for the body of ``/v1/plan``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from middle_tier.scheduler.rules import WantRule, want_of
from protocol.errors import BadRequestError
from protocol.messages import Want
from protocol.names import VARIANT_PATTERN, check_variant

MAX_MS = 86_400_000.0
"""A day: nobody waits longer."""

DEADLINE_FACTOR = 4.0
MIN_DEADLINE_MS = 1000.0
"""Without OIP's `timeout`, the hard deadline is the larger of the factor times the objective, and
this."""


class Wanted(NamedTuple):
    """A want with what goes beside it."""

    want: Want
    deadline_ms: float
    explain: bool


def read(task: str, variant: str | None, parameters: Mapping[str, object]) -> Wanted:
    """Return what is wanted of `task`; raise `BadRequestError` naming the field and its range."""
    found: dict[str, object] = {}
    for name, value in parameters.items():
        field = FIELDS.get(name)
        if field is None:
            _refuse_near_miss(name)
        else:
            found[name] = field.read(value)
    timeout_us = found.pop("timeout", None)
    explain = found.pop("explain", False)
    if variant is not None:
        found["variant"] = check_variant(variant)
    want = Want(task=task, **found)
    deadline_ms = _deadline_ms(want)
    if isinstance(timeout_us, int) and timeout_us > 0:
        deadline_ms = timeout_us / 1000.0
    return Wanted(want, deadline_ms, explain is True)


def with_defaults(wanted: Wanted, rules: Sequence[WantRule], tenant: str) -> Wanted:
    """Fill in, by the policy, what this tenant's request has not said."""
    want = want_of(rules, tenant, wanted.want)
    if want is wanted.want:
        return wanted
    given = wanted.deadline_ms != _deadline_ms(wanted.want)
    return Wanted(want, wanted.deadline_ms if given else _deadline_ms(want), wanted.explain)


def _deadline_ms(want: Want) -> float:
    return max(DEADLINE_FACTOR * want.latency_ms, MIN_DEADLINE_MS)


class Field(NamedTuple):
    """One parameter: how it is checked, and how it is described to people and to OpenAPI."""

    read: Callable[[object], object]
    schema: dict[str, object]
    about: str


def _number(name: str, low: float, high: float, *, within: str) -> Callable[[object], float]:
    """Check a number against a range written the mathematical way: ``(0, 100)``, ``[0, 1]``."""
    open_low, open_high = within.startswith("("), within.endswith(")")

    def read_number(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, f"a number in {within}", value)
        fits = (low < value if open_low else low <= value) and (
            value < high if open_high else value <= high
        )
        if not (math.isfinite(value) and fits):
            raise _wrong(name, f"a number in {within}", value)
        return float(value)

    return read_number


def _architecture(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("architecture", "a string", value)
    return check_variant(value)


def _explain(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong("explain", "true or false", value)
    return value


def _timeout(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_MS * 1000:
        raise _wrong("timeout", f"whole microseconds in [0, {MAX_MS * 1000:.0f}]", value)
    return value


def _wrong(name: str, expected: str, value: object) -> BadRequestError:
    got = repr(value) if isinstance(value, int | float | bool | None) else type(value).__name__
    return BadRequestError(f"{name} is {got[:60]}", f"{name} must be {expected}")


_IGNORED = frozenset(
    {"binary_data_output", "sequence_id", "sequence_start", "sequence_end", "priority"}
)
"""Of other servers: known, and without meaning for a want."""


def _refuse_near_miss(name: str) -> None:
    """Ignore what other servers know; a misspelt want would be worse than an error."""
    near = [] if name in _IGNORED else get_close_matches(name, FIELDS, 1, 0.75)
    if near:
        raise BadRequestError(
            f"unknown parameter {name[:60]!r}", f"did you mean {near[0]!r}? Wants: {_NAMES}"
        )


def _range(low: float, high: float, within: str) -> dict[str, object]:
    below = "exclusiveMinimum" if within.startswith("(") else "minimum"
    above = "exclusiveMaximum" if within.endswith(")") else "maximum"
    return {"type": "number", below: low, above: high}


def _ranged(name: str, low: float, high: float, within: str, about: str) -> Field:
    return Field(_number(name, low, high, within=within), _range(low, high, within), about)


FIELDS: dict[str, Field] = {
    "latency_ms": _ranged(
        "latency_ms", 0, MAX_MS, f"(0, {MAX_MS:.0f}]", "Objective, at `percentile`; default 1000."
    ),
    "percentile": _ranged(
        "percentile", 0, 100, "(0, 100)", "Of the latency objective; default 99."
    ),
    "min_accuracy": _ranged(
        "min_accuracy", 0, 1, "[0, 1]", "Least accuracy by the task's metric; default 0."
    ),
    "max_cost_usd": _ranged(
        "max_cost_usd", 0, 1e9, "[0, 1000000000]", "Most that one query may cost; default no limit."
    ),
    "architecture": Field(
        _architecture, {"type": "string", "pattern": VARIANT_PATTERN}, "Only this architecture."
    ),
    "explain": Field(_explain, {"type": "boolean"}, "Put the plan into the answer's parameters."),
    "timeout": Field(
        _timeout,
        {"type": "integer", "minimum": 0, "maximum": int(MAX_MS * 1000)},
        "Hard deadline in microseconds: past it the query is dropped and gets 504. Default (and "
        "0): the larger of 4 x latency_ms and one second.",
    ),
}
_NAMES = ", ".join(FIELDS)
