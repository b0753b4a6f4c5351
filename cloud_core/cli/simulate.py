"""`tiermesh simulate`: a scenario under the mesh's own choices and its rivals', in no time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import cpu_count
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cloud_core.cli import show
from cloud_core.cli.reach import Json
from cloud_core.simulator import run as simulator
from cloud_core.simulator.results import Figures, Results
from cloud_core.simulator.scenario import load

COLUMNS = (
    "policy", "met %", "violations %", "steady %", "refused", "accuracy", "cost USD", "edge %",
    "middle %", "cloud %", "cold", "decision us p50", "p99",
)  # fmt: skip

Watch = Callable[[str, float], None]


def _writable(report: Path | None) -> Path | None:
    """What could not be written when all is done is said before."""
    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {report.absolute().parent}")
    return report


def simulate(
    scenario: Annotated[
        Path,
        typer.Argument(
            help="A scenario file; cloud_core/simulator/README.md has an example.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    *,
    policy: Annotated[
        list[str] | None,
        typer.Option(help=f"One or several. Of {', '.join(simulator.POLICIES)}; or all."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a report with plots: one HTML file.", dir_okay=False, callback=_writable
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Policies that run side by side.", show_default="cores"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a scenario under one policy or several: what is met, and what it costs."""
    given_names = [*(policy or ()), *(more or ())]  # `--policy mesh oracle` as well
    chosen = [name for each in given_names for name in each.split(",")] or ["mesh"]
    names = list(simulator.POLICIES) if "all" in chosen else list(dict.fromkeys(chosen))
    given = load(scenario)
    with _watched(names, shown=not as_json) as watch:
        results = simulator.simulate(
            given, names, progress=watch, processes=processes or cpu_count() or 1
        )
    if report is not None:
        from cloud_core.simulator.report import page  # noqa: PLC0415  # only where it is asked for

        report.write_text(page(given, results), encoding="utf-8")
    if as_json:
        show.as_json(results.document())
    else:
        _shown(results, report)


@contextmanager
def _watched(names: list[str], *, shown: bool) -> Iterator[Watch | None]:
    """A bar for each policy while it runs, on standard error."""
    if not shown:
        yield None
        return
    columns = (TextColumn("{task.description:16}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=show.aside, transient=True) as bars:
        tasks = {name: bars.add_task(name, total=1.0) for name in names}
        yield lambda name, done: bars.update(tasks[name], completed=done)


def _shown(results: Results, report: Path | None) -> None:
    title = f"{results.scenario}, seed {results.seed}"
    rows = (_row(name, one.figures) for name, one in results.policies.items())
    show.table(COLUMNS, rows, title=title)
    show.console.print(
        f"{results.wall_s:.1f} s, {results.queries_per_s:,.0f} simulated queries a second",
        highlight=False,
    )
    if report is not None:
        show.plain(f"report: {report}")


def _row(name: str, one: Figures) -> tuple[object, ...]:
    met = 100.0 * one.met / one.queries if one.queries else 0.0
    tiers = (f"{100.0 * one.tier_share[tier]:.1f}" for tier in ("edge", "middle", "cloud"))
    return (
        name, f"{met:.2f}", f"{one.violation_pct:.2f}", f"{one.steady_violation_pct:.2f}",
        one.refused, f"{one.mean_accuracy:.2f}", f"{one.cost_usd:.4g}", *tiers, one.cold_starts,
        one.decided_us("p50"), one.decided_us("p99"),
    )  # fmt: skip
