"""The options that say what a query needs, for `ask` and `plan` alike."""

from collections.abc import Callable
from math import inf
from typing import Annotated

import typer

from middle_tier.http.wants import FIELDS
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
