"""Choosing, measured: the mesh beside its rivals and the oracle, in simulation, on measured data.

Run it: `python -m tests.benchmark.scheduling [--quick] [--only PART] [--report FILE.html]`. The
parts: `main` (twenty sites, five minutes), `heldout` (other boards, other traces), `load` (30 to
120 percent of what is feasible, at two of the sites) and `slow` (the Orins silently take twice as
long from the middle on). What the figures mean is in README.md beside this.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from cloud_core.simulator.policies.oracle import feasible_scale
from cloud_core.simulator.report import page
from cloud_core.simulator.results import Results
from cloud_core.simulator.run import POLICIES, simulate
from cloud_core.simulator.scenario import FaultPart, Scenario, load
from cloud_core.simulator.tables import kits

DATA = Path(__file__).parent / "data"
SCENARIO = DATA / "classification.yaml"
LOADS = (0.3, 0.6, 0.9, 1.2)
COLUMNS = (
    "policy            met %  unmet of oracle's %  steady %  accuracy  cost USD  x oracle  cold"
)
TARGETS = (
    ("cost, over the oracle's bound", "at most 1.15"),
    ("violations, of wants that the oracle meets, %", "at most 1"),
    ("always-cloud's cost over the mesh's", "at least 8.5"),
    ("infaas-like's violations over the mesh's", "at least 1.6"),
    ("infaas-like's cost over the mesh's", "more than 1"),
    ("proteus-like's violations over the mesh's", "at least 2"),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.scheduling")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time: a smoke test")
    parser.add_argument("--only", choices=("main", "heldout", "load", "slow"), action="append")
    parser.add_argument("--report", type=Path, help="write the main part's report there")
    options = parser.parse_args(arguments)
    parts = options.only or ["main", "heldout", "load", "slow"]
    scenario = load(SCENARIO)
    if options.quick:
        scenario = scenario.model_copy(update={"duration_s": scenario.duration_s / 5.0})
    if "main" in parts:
        results = compared("twenty sites", scenario)
        say(judged(results))
        if options.report:
            options.report.write_text(page(scenario, results), encoding="utf-8")
    if "heldout" in parts:
        say(judged(compared("systems and traces of no other part", heldout(scenario))))
    if "load" in parts:
        by_load(two_sites(scenario))
    if "slow" in parts:
        slowed(scenario)
    return 0


def compared(title: str, scenario: Scenario, *, scale: float = 1.0) -> Results:
    """Run every policy, and print its line."""
    results = simulate(scenario, tuple(POLICIES), processes=2, scale=scale)
    queries = results.policies["mesh"].figures.queries
    rate = f"{results.queries_per_s:,.0f} simulated queries a second and policy"
    size = f"{queries:,} queries in {scenario.duration_s:g} s, seed {scenario.seed}"
    say(f"\n{title}: {size}; {rate}\n{COLUMNS}\n")
    for name in results.policies:
        say(line(name, results))
    return results


def line(name: str, results: Results) -> str:
    one, bound = results.policies[name].figures, results.policies["oracle"].figures
    ratio = one.cost_usd / bound.cost_usd if bound.cost_usd else float("nan")
    return (
        f"{name:16}{100.0 * one.met / one.queries:7.2f}{of_the_oracles(name, results):21.3f}"
        f"{one.steady_violation_pct:10.3f}{one.mean_accuracy:10.2f}{one.cost_usd:10.4g}"
        f"{ratio:10.3f}{one.cold_starts:6}\n"
    )


def of_the_oracles(name: str, results: Results) -> float:
    """Percent of the wants that the oracle meets and this policy does not."""
    oracle, policy = results.policies["oracle"].met, results.policies[name].met
    return float(100.0 * np.sum(oracle & ~policy) / max(1, oracle.sum()))


def judged(results: Results) -> str:
    """Say how the mesh does by each target."""
    figures = {name: one.figures for name, one in results.policies.items()}
    mesh = figures["mesh"]
    unmet = {name: of_the_oracles(name, results) for name in figures}
    found = (
        mesh.cost_usd / figures["oracle"].cost_usd,
        unmet["mesh"],
        figures["always-cloud"].cost_usd / mesh.cost_usd,
        unmet["infaas-like"] / max(unmet["mesh"], 1e-9),
        figures["infaas-like"].cost_usd / mesh.cost_usd,
        unmet["proteus-like"] / max(unmet["mesh"], 1e-9),
    )
    lines = (
        f"  {what}: {value:.3f} ({wanted})"
        for (what, wanted), value in zip(TARGETS, found, strict=True)
    )
    return "\n".join(lines) + "\n"


def heldout(scenario: Scenario) -> Scenario:
    """Other boards at the same places, another hour's arrivals, another uplink, another seed."""
    systems = {"pi": "vim4-*", "orin": "xavier-*", "cpu": "aws_a1.2xlarge-*", "t4": "*A10x1*"}
    watts = {"pi": 9.0, "orin": 30.0}
    fleets = tuple(
        fleet.model_copy(
            update={
                "system": systems.get(fleet.name, fleet.system),
                "price": fleet.price.model_copy(
                    update={"watts": watts.get(fleet.name, fleet.price.watts)}
                ),
            }
        )
        for fleet in scenario.fleets
    )
    trace = scenario.traces[0].model_copy(
        update={"file": Path("traces/twitter_may25_7-8.csv"), "scale": 5.0}
    )
    links = {
        name: link.model_copy(update={"mbps_file": Path("network/5g_3.json")})
        if link.mbps_file
        else link
        for name, link in scenario.links.items()
    }
    return scenario.model_copy(
        update={"fleets": fleets, "traces": (trace,), "links": links, "seed": 2}
    )


def two_sites(scenario: Scenario) -> Scenario:
    """A tenth of it, for a minute and a half: so that four loads can be run in minutes."""
    fleets = tuple(
        fleet.model_copy(update={"sites": 2})
        if fleet.sites > 1
        else fleet.model_copy(update={"nodes": max(1, fleet.each // 4)})
        for fleet in scenario.fleets
    )
    trace = scenario.traces[0].model_copy(update={"scale": 1.0})
    return scenario.model_copy(
        update={
            "fleets": fleets, "traces": (trace,), "duration_s": min(90.0, scenario.duration_s),
        }
    )  # fmt: skip


def by_load(scenario: Scenario) -> None:
    """The table of loads: rankings flip with load."""
    feasible = feasible_scale(scenario, kits(scenario))
    say(f"\nfeasible load at two sites: {feasible:.1f} times the trace\n")
    for share in LOADS:
        compared(f"{share:.0%} of feasible load", scenario, scale=share * feasible)


def slowed(scenario: Scenario) -> None:
    """From the middle on the Orins take twice as long, and nobody says so."""
    fault = FaultPart(at_s=scenario.duration_s / 2.0, slow="orin", factor=2.0)
    compared(
        "the Orins slow down by 2 in mid-run", scenario.model_copy(update={"faults": (fault,)})
    )


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
