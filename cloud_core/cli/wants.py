"""The options that say what a query needs, for `ask` and `plan` alike."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Annotated, Any

import typer

from cloud_core.cli.reach import PATIENCE_S
from middle_tier.client import DEFAULT_TIMEOUT_S
from middle_tier.http.wants import DEADLINE_FACTOR, FIELDS, MIN_DEADLINE_MS
from protocol.errors import BadRequestError


def _within(name: str) -> Callable[[float | None], float | None]:
    """What is out of a want's range is misuse: said at once, in the gate's own words."""

    def check(value: float | None) -> float | None:
        try:
            if value is not None:
                FIELDS[name].read(value)
        except BadRequestError as error:
            raise typer.BadParameter(f"{value:g}: {error.hint}") from error
        return value

    return check


def patience_s(given: Mapping[str, Any]) -> float:
    """Pure. Return how long to wait for an answer: past the hard deadline none comes.

    Where the line says nothing of time, the policy may; the longest is waited for.
    """
    if (timeout_ms := given.get("timeout_ms")) is not None:
        return float(timeout_ms) / 1000.0 + PATIENCE_S
    if (latency_ms := given.get("latency_ms")) is not None:
        return max(DEADLINE_FACTOR * float(latency_ms), MIN_DEADLINE_MS) / 1000.0 + PATIENCE_S
    return DEFAULT_TIMEOUT_S


def above_zero(value: float | None) -> float | None:
    """What is no time at all is misuse."""
    if value is not None and not 0 < value < inf:
        raise typer.BadParameter(f"{value:g}: give a number of ms above 0")
    return value


LatencyMs = Annotated[
    float | None,
    typer.Option(
        "--latency-ms",
        help="Objective in milliseconds, at --percentile.",
        callback=_within("latency_ms"),
    ),
]
Percentile = Annotated[
    float | None,
    typer.Option(help="Of --latency-ms; 99 unless given.", callback=_within("percentile")),
]
MinAccuracy = Annotated[
    float | None,
    typer.Option(help="Least accuracy, 0 to 1.", callback=_within("min_accuracy")),
]
MaxCost = Annotated[
    float | None,
    typer.Option(help="Highest cost of the query, USD.", callback=_within("max_cost_usd")),
]
Architecture = Annotated[str | None, typer.Option(help="One model design, in any form.")]
Variant = Annotated[str | None, typer.Option(help="Exactly this variant.")]
