"""The options that say what a query needs, for `ask` and `plan` alike."""

from typing import Annotated

import typer

LatencyMs = Annotated[
    float | None, typer.Option("--latency-ms", help="Objective in milliseconds, at --percentile.")
]
Percentile = Annotated[float | None, typer.Option(help="Of --latency-ms; 99 unless given.")]
MinAccuracy = Annotated[float | None, typer.Option(help="Least accuracy, 0 to 1.")]
MaxCost = Annotated[float | None, typer.Option(help="Highest cost of the query, USD.")]
Architecture = Annotated[str | None, typer.Option(help="One model design, in any form.")]
Variant = Annotated[str | None, typer.Option(help="Exactly this variant.")]
